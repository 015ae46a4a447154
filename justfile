# Everything is a script or a cargo command; `just` only gives them short names.

# what CI runs
check:
    .ci/run

# all tests, or some: just test -p creel-domain
test *args:
    script/test {{args}}

fmt:
    cargo fmt --all

# install, build, run
up *args:
    script/up {{args}}

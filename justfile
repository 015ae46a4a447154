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

# what Creel costs, as ratios to floors: just bench turn
bench *args:
    script/bench {{args}}

# the heavy proofs in full: hours
soak *args:
    script/soak {{args}}

# hostile bytes at a parser: just fuzz words -max_total_time=60
fuzz target *args:
    cargo +nightly fuzz run {{target}} -- {{args}}

# What the other scripts share. Sourced, not run.

# Debian packages without which Creel cannot be built or cannot make a sandbox.
# crun starts a sandbox faster; runc is there for hosts where crun fails.
packages=(build-essential busybox-static ca-certificates crun e2fsprogs mmdebstrap runc)
# Tests and benches start private servers from its programs.
# Scenarios open the page in a real browser.
test_packages=(chromium fonts-dejavu-core pebble postgresql)

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "error: $*"
  exit 1
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Installs what is missing, and asks nothing of the network when nothing is.
install_packages() {
  local missing=() package
  command -v apt-get >/dev/null || fail "this needs Debian's apt-get; on another system install: $*"
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  say "Installing ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

need_toolchains() {
  [ -d "$HOME/.cargo/bin" ] && PATH="$PATH:$HOME/.cargo/bin"
  command -v cargo >/dev/null || fail "Rust is missing: install it with rustup, then run this again"
  command -v npm >/dev/null || fail "npm is missing: install Node.js with npm, then run this again"
}

host() { rustc -vV | sed -n 's/^host: //p'; }

# cargo tells a file's age, not whose it is: what another checkout left in a shared target directory would
# pass for ours, with that checkout's paths baked in. Dependencies stay.
forget_other_checkouts() {
  local mark=$CARGO_TARGET_DIR/checkout
  [ "$(cat "$mark" 2>/dev/null)" = "$PWD" ] && return
  cargo clean --quiet --workspace
  cargo clean --quiet --workspace --profile bridge --target-dir "$CARGO_TARGET_DIR/bridge" --target "$(host)"
  printf '%s' "$PWD" >"$mark"
}

# For what runs the workspace's binaries in real sandboxes: root, a target directory and images that outlive
# the checkout, and the packages. $1 says what runs them, in a sentence's beginning.
prepare_real_runs() {
  export CARGO_TARGET_DIR=${CREEL_TARGET_DIR:-/var/cache/creel-ci/target}
  export CREEL_TEST_IMAGES=${CREEL_TEST_IMAGES:-/var/cache/creel-ci/images}
  need_toolchains
  [ "$(id -u)" -eq 0 ] || fail "$1 start real sandboxes and need root: run this with sudo"
  mkdir -p "$CARGO_TARGET_DIR" "$CREEL_TEST_IMAGES"
  forget_other_checkouts
  # Debian's PostgreSQL would come with a running server of its own, which nobody needs here.
  mkdir -p /etc/postgresql-common/createcluster.d
  echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/creel.conf
  install_packages "${packages[@]}" "${test_packages[@]}"
}

# Builds the bridge, static and small, in a target directory of its own: its flags would rebuild all else.
# Prints where it is.
build_bridge() {
  RUSTFLAGS='-C target-feature=+crt-static' cargo build --profile bridge --package creel-bridge \
    --target "$(host)" --target-dir "$CARGO_TARGET_DIR/bridge" >&2
  printf '%s\n' "$CARGO_TARGET_DIR/bridge/$(host)/bridge/creel-bridge"
}

# Installs the npm packages of the folder $1 as its lock file says, in the directory $2 that outlives the checkout, and prints
# where. Asks nothing of the network when they are there.
install_npm() {
  mkdir -p "$2"
  cp "$1"/{package.json,package-lock.json} "$2"
  # The mark comes last: what broke off in the middle is done again.
  if ! cmp --quiet "$1/package-lock.json" "$2/installed"; then
    (cd "$2" && npm ci --ignore-scripts --no-audit --no-fund >&2)
    cp "$1/package-lock.json" "$2/installed"
  fi
  printf '%s\n' "$2"
}

# Puts the dashboard's sources and what they need into the directory $1, which outlives the checkout.
copy_dashboard() {
  local name
  install_npm dashboard "$1/dashboard" >/dev/null
  # The description of the API is a source: the client's types are made from it.
  mkdir -p "$1/openapi"
  cp openapi/public.json "$1/openapi/public.json"
  for name in src public scripts; do
    rm -rf "$1/dashboard/$name"
    cp -r "dashboard/$name" "$1/dashboard/$name"
  done
  cp dashboard/{index.html,tsconfig.json,vite.config.ts,vitest.config.ts} "$1/dashboard"
}

# Builds the dashboard into dashboard/dist/web, where the build of control finds it. Does nothing when its sources are those of
# the last time.
build_dashboard() {
  local place=${CREEL_DASHBOARD:-/var/cache/creel-ci/dashboard} sources
  mkdir -p "$place"
  (
    # One at a time: several checkouts share it.
    flock 9
    copy_dashboard "$place"
    sources=$(cd "$place" && find openapi dashboard \( -path dashboard/node_modules -o -path dashboard/dist \) -prune -o \
      -type f ! -name built -print0 | sort -z | xargs -0 sha256sum | sha256sum)
    if [ "$(cat "$place/dashboard/built" 2>/dev/null)" != "$sources" ]; then
      say 'Building the dashboard'
      (cd "$place/dashboard" && npm run --silent build >&2)
      printf '%s' "$sources" >"$place/dashboard/built"
    fi
    # What is the same keeps its times, so that control is not built again.
    if ! diff -rq "$place/dashboard/dist/web" dashboard/dist/web >/dev/null 2>&1; then
      rm -rf dashboard/dist/web
      cp -r "$place/dashboard/dist/web" dashboard/dist/web
    fi
  ) 9>"$place/lock"
}

# Whether the client's types are those of the API's description, and the dashboard's own tests pass.
check_dashboard() {
  local place=${CREEL_DASHBOARD:-/var/cache/creel-ci/dashboard}
  (
    flock 9
    copy_dashboard "$place" || exit 1
    cd "$place/dashboard" && npm test --silent >&2 && npm run --silent api >&2 || exit 1
    cmp --quiet src/api/schema.d.ts "$OLDPWD/dashboard/src/api/schema.d.ts" && exit
    say 'error: dashboard/src/api/schema.d.ts is not what openapi/public.json says: run `npm run api` in dashboard/'
    exit 1
  ) 9>"$place/lock"
}

# A real identity provider for the sign-in scenario. Prints where it is.
install_oidc_provider() {
  local place=${CREEL_TEST_OIDC_PROVIDER:-/var/cache/creel-ci/oidc-provider}
  install_npm tests/oidc-provider "$place"
  cp tests/oidc-provider/server.js "$place"
}

# What drives the browser that scenarios open the page in. Prints where it is.
install_browser_driver() {
  install_npm tests/browser "${CREEL_BROWSER:-/var/cache/creel-ci/browser}"
}

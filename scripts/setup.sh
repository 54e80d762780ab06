# Sourced by scripts/serve and scripts/test: makes the virtual environment and the model pack.
#
# Every step leaves a stamp when it has succeeded, so a broken run can simply be repeated, and a step that
# is done needs no network. Set PYTHON to choose an interpreter, FACENAPI_VENV to put the environment elsewhere.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${FACENAPI_VENV:-$root/.venv}
var=$root/var

say() { printf '%s\n' "-- $*" >&2; }
die() { printf '%s\n' "$(basename "$0"): $*" >&2; exit 1; }

# A program that ends by itself on Ctrl-C looks like one that failed: the trap is run before that is told.
trap 'say "interrupted; run it again to go on"; exit 130' INT

# Run a step with its output in a log; on failure show the end of it and what to do. A remark in
# parentheses behind the title is for the beginning only.
step() {
    local title=${1%% (*} log
    log=$var/log/$(tr -c 'a-z0-9\n' '-' <<<"$title").log
    mkdir -p "$var/log"
    say "$1"
    shift
    if ! "$@" >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        die "failed: $title. The whole output is in $log. Mend the cause and run the command again."
    fi
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$candidate"
            return
        fi
    done
    die "Python 3.11 or newer is needed; none of ${PYTHON:-python3, python3.11 to python3.13} is"
}

make_venv() {
    # pip comes last when an environment is made: without it the making was interrupted.
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        local python
        python=$(find_python) || exit 1
        # What is neither an environment nor empty is somebody's: a home that was named by mistake, say.
        [ "$venv" = "$root/.venv" ] || [ -e "$venv/pyvenv.cfg" ] || [ -z "$(ls -A "$venv" 2>/dev/null)" ] ||
            die "$venv is not empty and no virtual environment: remove it, or set FACENAPI_VENV to a new folder"
        rm -rf "$venv"
        step "making a virtual environment with $python" "$python" -m venv "$venv"
    fi
}

# The GPU build where there is an NVIDIA driver, else the CPU build: the two overwrite each other.
runtime_extra() {
    if [ -e /proc/driver/nvidia/version ] || nvidia-smi -L >/dev/null 2>&1; then echo cuda; else echo cpu; fi
}

# Install the project with extras, if that has not been done for these files and extras yet.
install() {
    local extras=$1 stamp
    stamp=$venv/installed-$(cat "$root/setup.cfg" "$root/constraints.txt" "$root/pyproject.toml" - <<<"$extras $root compat" | sha256sum | cut -c1-16)
    [ -e "$stamp" ] && return
    # setuptools, too, so that no later installation replaces it under a compilation that uses it. And by a path
    # (compat), or the checkout's folder would hide the package from a Python that is started beside it.
    step "installing facenapi[$extras] and what it needs (several minutes, in which pip prints nothing)" \
        "$venv/bin/python" -m pip install --disable-pip-version-check --no-input \
        --constraint "$root/constraints.txt" setuptools --config-settings editable_mode=compat -e "$root[$extras]"
    touch "$stamp"
}

# NMSLIB with all that this processor has, if that can be; the published one has SSE2 only.
compile_nmslib() {
    [ "${FACENAPI_NMSLIB:-}" = wheel ] && return
    say "compiling NMSLIB for this processor (a few minutes, once; FACENAPI_NMSLIB=wheel leaves that out)"
    mkdir -p "$var/log"
    "$root/scripts/build_nmslib" "$venv/bin/python" >"$var/log/build-nmslib.log" 2>&1 ||
        say "NMSLIB stays the published one, which is slower: $(tail -n 1 "$var/log/build-nmslib.log")"
}

# The same without waiting: what an earlier run has compiled is taken into use now, else it is compiled beside the server.
compile_nmslib_meanwhile() {
    [ "${FACENAPI_NMSLIB:-}" = wheel ] && return
    if ! flock -n "$venv/nmslib.lock" true; then
        say "NMSLIB is still being compiled for this processor since an earlier start; a later one takes it"
        return
    fi
    mkdir -p "$var/log"
    "$root/scripts/build_nmslib" --install-only "$venv/bin/python" >"$var/log/build-nmslib.log" 2>&1 && return
    command -v "${CXX:-g++}" >/dev/null || return 0
    say "NMSLIB is compiled for this processor meanwhile; the next start takes it (FACENAPI_NMSLIB=wheel: never)"
    # In a session of its own, so that neither Ctrl-C nor the end of the terminal stops it, and no child of the server.
    local apart=""
    ! command -v setsid >/dev/null || apart=setsid
    ($apart nice -n 19 "$root/scripts/build_nmslib" --build-only "$venv/bin/python" >"$var/log/build-nmslib.log" 2>&1 9>&- &)
}

# Build the default pack into a folder that has none; whatever is there stays, and with it the faces' vectors.
build_models() {
    local pack=${1:-$var/models/default}
    if [ ! -e "$pack/pack.json" ]; then
        say "building the model pack"
        "$venv/bin/facenapi" models build --model_pack="$pack" >/dev/null ||
            die "the model pack could not be built. Mend the cause and run the command again."
    fi
}

# Swagger UI for /docs/v1/try: a convenience, so that its absence stops nothing.
fetch_api_page() {
    local there=$var/api-page/version # a later release may name another one
    if [ ! -s "$there" ] || ! grep -qF "\"$(cat "$there")\"" "$root/facenapi/commands/api_page.py"; then
        say "fetching the interactive API page"
        "$venv/bin/facenapi" api-page --api_page="$var/api-page" >/dev/null ||
            say "not fetched: the page /docs/v1/try stays what it was, or says that it is not there"
    fi
}

# A package of Debian's, unpacked and not installed, unless one of the files is there: name, what goes without, files.
unpack() {
    local name=$1 without=$2 folder=$var/tools/$1
    shift 2
    if command -v "$@" >/dev/null || [ -d "$folder/usr" ] || ! command -v apt-get >/dev/null; then return; fi
    rm -rf "$folder"
    mkdir -p "$folder" "$var/log"
    say "fetching $name"
    (cd "$folder" && { apt-get download "$name" || { apt-get update && apt-get download "$name"; }; } &&
        dpkg-deb -x "$name"_*.deb .) >"$var/log/fetching-$name.log" 2>&1 ||
        say "$name could not be fetched: $without"
}

# What the tests of the console need: Chromium, and from npm the checkers of types and of accessibility.
browser_tools() {
    if ! command -v "${FACENAPI_TEST_BROWSER:-chromium}" chromium-browser google-chrome >/dev/null; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            step "installing Chromium" sh -c "apt-get update && apt-get install --yes --no-install-recommends chromium"
        else
            say "there is no Chromium (apt-get install chromium): the tests of the console in a browser will fail"
        fi
    fi
    local tools=$var/console-tools
    if ! command -v npm >/dev/null; then
        say "there is no npm: the types and the accessibility of the console are not checked"
    elif ! cmp -s "$root/tests/console/tools/package.json" "$tools/package.json" || [ ! -e "$tools/done" ]; then
        rm -rf "$tools"
        mkdir -p "$tools"
        cp "$root/tests/console/tools/package.json" "$tools/"
        step "fetching the checkers of the console" npm install --prefix "$tools" --no-package-lock --no-audit --no-fund --ignore-scripts
        touch "$tools/done"
    fi
}

# The documentation, if it has not been built of these files yet.
build_guide() {
    local stamp
    stamp=$(find "$root/docs" "$root/facenapi" -type f ! -name '*.pyc' -print0 | sort -z | xargs -0 cat | sha256sum | cut -c1-16)
    [ -e "$var/guide/.built-$stamp" ] && return
    step "building the documentation" "$root/scripts/docs"
    rm -f "$var/guide"/.built-*
    touch "$var/guide/.built-$stamp"
}

# One at a time: two first runs at once would write the same files.
{ mkdir -p "$var" && : >>"$var/setup.lock"; } 2>/dev/null ||
    die "$(id -un) cannot write to $var: run this as the owner of the checkout, or in a checkout of your own"
exec 9>"$var/setup.lock"
flock -n 9 || { say "another set-up is running, waiting for it"; flock 9; }

# A container engine for this project alone, where none works.
#
#   engine.sh start FOLDER    prints "present" where an engine already answers; otherwise reuses or starts its own in
#                             FOLDER and prints "running" or "started", then its DOCKER_HOST
#   engine.sh wake FOLDER     the same, but prints "absent" where the own engine holds no container
#   engine.sh stop FOLDER     stop it if it says that it holds no container; prints "stopped", "kept" or "absent"
#   engine.sh check FOLDER    whether start can succeed, without starting anything: prints "present", "running" or
#                             "startable", or fails as start would
#
# An engine that DOCKER_HOST names is the user's choice: it is used or the reason why not is told. The own engine is
# spoken to without any of the user's DOCKER_* variables, which are about another one.
#
# Debian 12's own dockerd asks for every capability, and fails where the machine withholds one (CAP_SYS_RESOURCE in
# many virtual machines and containers). Debian 13's takes what there is, so its packages are unpacked into FOLDER,
# beside the system, and run with the system's runc (Debian 13's needs a newer libc).
set -euo pipefail
action=$1 root=$2
socket=$root/docker.sock

fail() { echo "engine: $1" >&2; exit 1; }
ours() ( unset ${!DOCKER@}; "$root/deb/usr/bin/docker" -H "unix://$socket" "$@" )
answers() { [ -S "$socket" ] && ours info >/dev/null 2>&1; }
users() { # whether the user's engine answers
  local words
  [ "${DOCKER_HOST:-}" != "unix://$socket" ] || return 1
  if words=$(docker info 2>&1 >/dev/null); then return 0; fi
  [ -z "${DOCKER_HOST:-}" ] ||
    fail "DOCKER_HOST is $DOCKER_HOST, and no engine answers there ($(tail -n 1 <<<"$words")): start it, or unset DOCKER_HOST"
  return 1
}
pid() { # the pid of our dockerd, not of whatever got its number after a restart of the machine
  local pid; pid=$(cat "$root/dockerd.pid" 2>/dev/null) || return 1
  [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$root/deb/usr/sbin/dockerd" ] && echo "$pid"
}

install_system_packages() {
  local missing=()
  command -v runc >/dev/null || missing+=(runc)
  command -v iptables >/dev/null || missing+=(iptables)
  [ ${#missing[@]} -eq 0 ] && return
  echo "engine: installing ${missing[*]} with apt-get" >&2
  apt-get update -qq && apt-get install -y -qq "${missing[@]}" >/dev/null || fail "apt-get cannot install ${missing[*]}"
}

unpack() {
  [ -f "$root/deb/.complete" ] && return
  local mirror key=/usr/share/keyrings/debian-archive-keyring.gpg apt="$root/apt"
  # the archive is the one that this machine already uses
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | grep -m1 '/debian/*$') ||
    { apt-get update -qq; mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | grep -m1 '/debian/*$'); } ||
    fail "apt knows no Debian archive: check /etc/apt/sources.list"
  rm -rf "$root/deb" "$apt"
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/debs" "$root/deb"
  echo "deb [signed-by=$key] $mirror trixie main" >"$apt/sources.list"
  cat >"$apt/apt.conf" <<CONF
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$apt/lists";
Dir::Cache "$apt/cache";
APT::Sandbox::User "root";
CONF
  APT_CONFIG=$apt/apt.conf apt-get update -qq
  (cd "$apt/debs" && APT_CONFIG=$apt/apt.conf apt-get download -qq docker.io docker-cli containerd libseccomp2) ||
    fail "apt-get cannot download docker.io, docker-cli, containerd and libseccomp2 of Debian 13"
  for deb in "$apt"/debs/*.deb; do dpkg -x "$deb" "$root/deb"; done
  rm -rf "$apt"
  touch "$root/deb/.complete"
}

startable() { # or fail with the reason
  local none="no container engine answers" release
  [ -z "${!DOCKER@}" ] || none+=" (of the environment: $(tr ' ' ',' <<<"${!DOCKER@}"))"
  [ "$(id -u)" = 0 ] || fail "$none and starting one needs root: start Docker, set DOCKER_HOST, or run this as root"
  [ ! -f "$root/deb/.complete" ] || return 0
  command -v apt-get >/dev/null || fail "$none, and without apt-get none can be installed: install Docker or set DOCKER_HOST"
  release=$(. /etc/os-release; echo "${ID:-}-${VERSION_CODENAME:-}")
  case $release in
    debian-bookworm|debian-trixie) ;;
    *) fail "$none, and one can be unpacked on Debian 12 and 13 only (this is $release): install Docker, or set DOCKER_HOST" ;;
  esac
}

start() {
  if users; then echo present; echo; return; fi
  if answers; then echo running; echo "unix://$socket"; return; fi
  startable
  mkdir -p "$root"
  install_system_packages
  unpack
  mkdir -p /lib/modules # kind mounts it into its nodes
  pid >/dev/null || rm -f "$root/dockerd.pid" "$socket" "$root"/exec/containerd/containerd.pid
  # No descriptor of the caller's may stay open in the daemon, or Ansible waits for it for ever.
  PATH=$root/deb/usr/bin:$root/deb/usr/sbin:$PATH LD_LIBRARY_PATH=$root/deb/usr/lib/$(uname -m)-linux-gnu \
    setsid "$root/deb/usr/sbin/dockerd" --userland-proxy=false --data-root "$root/data" --exec-root "$root/exec" \
    -H "unix://$socket" --pidfile "$root/dockerd.pid" >"$root/dockerd.log" 2>&1 </dev/null &
  for _ in $(seq 120); do
    if answers; then echo started; echo "unix://$socket"; return; fi
    kill -0 $! 2>/dev/null || break
    sleep 0.5
  done
  fail "dockerd does not answer; its last words ($root/dockerd.log): $(grep -v level=info "$root/dockerd.log" | tail -n 3 | tr '\n' ' ')"
}

case $action in
  start) start ;;
  check) if users; then echo present; elif answers; then echo running; else startable; echo startable; fi ;;
  wake) if [ -n "$(ls "$root/data/containers" 2>/dev/null)" ] || users; then start; else echo absent; echo; fi ;;
  stop)
    if ! daemon=$(pid); then
      echo absent
    elif ! containers=$(ours ps -aq 2>&1); then
      fail "the own engine ($root, process $daemon) does not say whether it holds containers, so it is left running: $(tail -n 1 <<<"$containers")"
    elif [ -n "$containers" ]; then
      echo kept
    else
      kill "$daemon"
      for _ in $(seq 120); do kill -0 "$daemon" 2>/dev/null || break; sleep 0.5; done
      kill -0 "$daemon" 2>/dev/null && fail "dockerd ($daemon) does not stop"
      echo stopped
    fi ;;
  *) fail "unknown action $action: start, check, wake or stop" ;;
esac

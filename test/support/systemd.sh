#!/bin/bash
# A systemd of its own, in namespaces of its own, for test/integration/packaging/systemd.test.ts: runs the commands on
# standard input with $S as its systemctl. Needs root; leaves nothing behind. Usage: systemd.sh FOLDER < commands
set -u
folder=$1
if [ "${2:-}" != inside ]; then
  group=/sys/fs/cgroup/systemd
  [ -d $group ] || group=/sys/fs/cgroup
  group=$group/kw-test-$$
  mkdir "$group" || exit 77
  cat > "$folder/commands"
  bash -c 'echo $$ > "$1/cgroup.procs" && exec unshare --cgroup --mount --pid --fork --mount-proc --kill-child bash "$2" "$3" inside' \
    bash "$group" "$0" "$folder"
  code=$?
  for _ in 1 2 3 4 5; do find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null; [ -d "$group" ] || break; sleep 0.2; done
  exit $code
fi
# The manager asks whether the system was booted with systemd; here it was.
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system /run/user && chmod 700 /run/user || exit 77
if [ -d /sys/fs/cgroup/systemd ]; then
  mount -t tmpfs tmpfs /sys/fs/cgroup && mkdir /sys/fs/cgroup/systemd &&
    mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd || exit 77
else
  mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 77
fi
export XDG_RUNTIME_DIR=/run/user HOME=$folder
/lib/systemd/systemd --user --log-target=console > "$folder/systemd.log" 2>&1 &
S="timeout 40 systemctl --user"
for _ in $(seq 50); do $S is-system-running > /dev/null 2>&1 && break; sleep 0.1; done
$S is-system-running > /dev/null 2>&1 || exit 77
. "$folder/commands"
$S exit

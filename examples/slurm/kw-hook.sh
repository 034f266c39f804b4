# shellcheck shell=bash
# What the prologs and epilogs of Slurm beside this file share. kw never fails a job, and holds it up for a second at most:
# whatever kw or the machine hangs on is left behind, and logged; kw job sync --slurm makes good what was lost.
#
#   KW            the program, if it is not in /usr/bin, /bin or /usr/local/bin
#   KW_HOOK_LOG   a local file to log into instead of syslog
#   KW_HOOK_RUN   the folder of kw job sync --wake, /run/kw-job-sync (see kw-job-sync.service). Where it is there, the sync is
#                 woken when kw could not be told, and makes that good within seconds; and where many jobs begin or end at
#                 once, only as many as the machine has processors tell kw themselves: the sync sees all others at once
#
# The database is found in /etc/kwollect/kw.yaml, or in KW_DATABASE_URL: Slurm hands no environment on, but a line
# `export KW_DATABASE_URL=...` in the script does.

# Slurm waits until nobody holds these open.
exec </dev/null >/dev/null 2>&1
# There may be none, and what bash then assumes is not handed on.
export PATH="${PATH:-/usr/bin:/bin}:/usr/local/bin"
KW=${KW:-kw}

# A component of a heterogeneous job belongs to the number that its user knows; an element of an array has a name, 1234_7.
job=${SLURM_HET_JOB_ID:-$SLURM_JOB_ID}
name=()
[ -z "$SLURM_ARRAY_TASK_ID" ] || name=(--name "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID")

run=${KW_HOOK_RUN:-/run/kw-job-sync}

# Runs kw with these arguments. What hangs in the kernel cannot be killed, so it is not waited for either.
tell_kw() {
  local said=
  turn || return 0
  IFS= read -r -d '' -t 1 said < <(
    if said=$(timeout -s KILL 1 "$KW" "$@" --timeout 900ms 2>&1 >/dev/null); then
      printf 'ok\0'
    else
      printf '%s\0' "${said:-it was not there, or did not answer in time}"
    fi
  )
  [ "$said" = ok ] && return
  wake_sync
  log "job $SLURM_JOB_ID, kw $1 $2: ${said:-it did not answer within a second}"
}

# Whether this one may tell kw itself. Its place is free again when its last process has ended.
turn() {
  local place
  [ -w "$run" ] || return 0
  for ((place = $(nproc); place > 0; place--)); do
    exec 9>"$run/place-$place" || return 0
    flock -n 9 && return
  done
  exec 9>&-
  wake_sync
  return 1
}

wake_sync() {
  [ ! -w "$run" ] || touch "$run/wake"
}

log() {
  if [ -n "$KW_HOOK_LOG" ]; then
    printf '%s %s\n' "$(date +%FT%T%z)" "$1" >>"$KW_HOOK_LOG"
  else
    logger -t kw-slurm -- "$1" &
  fi
}

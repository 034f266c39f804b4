# shellcheck shell=bash
# What the prologs and epilogs of Slurm beside this file share. kw never fails a job, and holds it up for a second at most:
# whatever kw or the machine hangs on is left behind, and logged; kw job sync --slurm makes good what was lost.
#
#   KW            the program, if it is not /usr/local/bin/kw or /usr/bin/kw
#   KW_HOOK_LOG   a local file to log into instead of syslog
#
# The database is found in /etc/kwollect/kw.yaml, or in KW_DATABASE_URL: Slurm hands no environment on, but a line
# `export KW_DATABASE_URL=...` in the script does.

# Slurm waits until nobody holds these open.
exec </dev/null >/dev/null 2>&1
PATH=${PATH:-/usr/bin:/bin}:/usr/local/bin
KW=${KW:-kw}

# A component of a heterogeneous job belongs to the number that its user knows; an element of an array has a name, 1234_7.
job=${SLURM_HET_JOB_ID:-$SLURM_JOB_ID}
name=()
[ -z "$SLURM_ARRAY_TASK_ID" ] || name=(--name "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID")

# Runs kw with these arguments. What hangs in the kernel cannot be killed, so it is not waited for either.
tell_kw() {
  local said=
  IFS= read -r -d '' -t 1 said < <(
    if said=$(timeout -s KILL 1 "$KW" "$@" --timeout 900ms 2>&1 >/dev/null); then
      printf 'ok\0'
    else
      printf '%s\0' "${said:-it was not there, or did not answer in time}"
    fi
  )
  [ "$said" = ok ] || log "job $SLURM_JOB_ID, kw $1 $2: ${said:-it did not answer within a second}"
}

log() {
  if [ -n "$KW_HOOK_LOG" ]; then
    printf '%s %s\n' "$(date +%FT%T%z)" "$1" >>"$KW_HOOK_LOG"
  else
    logger -t kw-slurm -- "$1" &
  fi
}

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# podcred host: what a container leaves on the host for the next boot. The host is a directory with
# nothing in it but what systemd has: no shell, no library. What is installed there is run in it.
set -u
# shellcheck source=tests/lib/env.sh
. "$(dirname "$0")/../lib/env.sh"
# shellcheck source=tests/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

UNIT=etc/systemd/system/podcred-load.service
LIBS=/opt/podcred/current/lib

new_host() {
  HOST=$ENV_TMP/$1
  mkdir -p "$HOST/run/systemd/system" "$HOST/etc/systemd/system"
}
host() { "${PROGRAM:-$PODCRED}" host "$@" --root "$HOST"; }
# As an init container does it, for pods of this test alone.
install() {
  host install --config "$ENV_TMP/config.yaml" --kubepods "$KUBEPODS" --agent-cgroup "$AGENT_CGROUP" \
    --pin-dir "$PIN_DIR" --agent "$NODE_V4:$AGENT_PORT" "$@"
}
listing() { find "$HOST" -printf '%P %y %m %s %l\n' | sort; }
loader() { basename "$HOST"/opt/podcred/current/lib/ld-*; }
# In the host's own root, by its own loader. With /proc, as a host has it, and as LeakSanitizer needs it.
installed() {
  # shellcheck disable=SC2016
  unshare -m bash -c 'mkdir -p "$1/proc" && mount --bind /proc "$1/proc" && exec chroot "$@"' - \
    "$HOST" "$LIBS/$(loader)" --inhibit-cache --library-path $LIBS /opt/podcred/current/bin/podcred "$@"
}
exec_start() { sed -n 's/^ExecStart=//p' "$HOST/$UNIT"; }
versions() { find "$HOST/opt/podcred" -mindepth 1 -maxdepth 1 -name 'v*' | wc -l; }

env_up systemd
pod_add cart burstable
pod_add plain besteffort
pod_add agent guaranteed host
cat >"$ENV_TMP/config.yaml" <<YAML
agent: $NODE_V4:$AGENT_PORT
policy:
  - namespace: shop
    serviceAccount: plain
    action: exempt
YAML

# ---- install ----
new_host plain
check 'install' install
note "$(du -sk "$HOST/opt/podcred" | cut -f 1) KiB on the host"
check 'says what it did, again when it has done nothing' grep -q 'is installed already, as it is' <(install)
same 'nothing but /opt/podcred and units of systemd' '' \
  "$(cd "$HOST" && find . -type f -o -type l | grep -vE '^./(opt/podcred|etc/systemd/system)/')"
same 'the configuration is that of the container' "$(cat "$ENV_TMP/config.yaml")" \
  "$(cat "$HOST/opt/podcred/current/config.yaml")"
same 'what is installed runs where nothing else is' "$("$PODCRED" version)" "$(installed version)"
check 'status: all is well' host status
same 'status --json' '[true,true,true,true]' \
  "$(host status --json | jq -c '[.installed, .same, .unit, .enabled]')"
same 'nobody but root may write it' '' "$(find "$HOST/opt" -not -type l \( -perm /022 -o -not -user root \))"
same 'it is started with a boot, and with whatever runs pods' 9 \
  "$(find "$HOST/etc/systemd/system" -name podcred-load.service -path '*.wants/*' -type l | wc -l)"
same 'these links lead to the unit' '' "$(find "$HOST/etc" -xtype l)"
check 'it comes before the kubelet and the runtimes' \
  bash -c "grep -q '^Before=.*kubelet.service' '$HOST/$UNIT' && grep -q '^Before=.*containerd.service' '$HOST/$UNIT'"
cp -r "$HOST" "$ENV_TMP/verify"
mkdir -p "$ENV_TMP/verify/usr/lib/systemd"
cp -r /usr/lib/systemd/system "$ENV_TMP/verify/usr/lib/systemd"
same 'systemd-analyze verify has no complaint' '' \
  "$(systemd-analyze verify --root="$ENV_TMP/verify" --man=no podcred-load.service 2>&1)"
before=$(listing; find "$HOST" -printf '%i\n' | sort)
install >/dev/null
same 'a second install writes nothing' "$before" "$(listing; find "$HOST" -printf '%i\n' | sort)"
rm "$HOST/etc/systemd/system/multi-user.target.wants/podcred-load.service"
check_not 'status fails when it is disabled' host status
check 'install enables it again' install
check 'and status is content' host status

# ---- another version ----
strip -o "$ENV_TMP/stripped" "$PODCRED"
PROGRAM=$ENV_TMP/stripped
check_not 'another program: status tells that it is not the one that is installed' host status
mkdir "$HOST/opt/podcred/v9.9.9-1" # of an install that was cut off
PROGRAM=$ENV_TMP/stripped check 'another program replaces it' install
same 'one version stays' 1 "$(versions)"
check 'it is the new one' cmp "$ENV_TMP/stripped" "$HOST/opt/podcred/current/bin/podcred"
echo 'mode: audit' >>"$ENV_TMP/config.yaml"
check 'another configuration: also' install
check 'is installed' grep -qx 'mode: audit' "$HOST/opt/podcred/current/config.yaml"
sed -i '/^mode/d' "$ENV_TMP/config.yaml"

# kill -9 at any time
broken=0
for i in $(seq 0 4 80); do
  PROGRAM=$PODCRED
  [ $((i % 8)) -eq 0 ] || PROGRAM=$ENV_TMP/stripped
  "$PROGRAM" host install --root "$HOST" --config "$ENV_TMP/config.yaml" --kubepods "$KUBEPODS" \
    --pin-dir "$PIN_DIR" --agent "$NODE_V4:$AGENT_PORT" >/dev/null 2>&1 &
  sleep "0.$(printf %03d "$i")"
  kill -KILL $! 2>/dev/null
  wait $! 2>/dev/null
  installed version >/dev/null && exec_start | grep -q load || broken=$((broken + 1))
done 2>/dev/null
same 'cut off at any moment, the host has one version or the other' 0 $broken
PROGRAM=
check 'and the next install succeeds' install
same 'and cleans up' 1 "$(versions)"

# several at once, of two versions
for i in 1 2 3 4; do
  PROGRAM=$PODCRED
  [ $((i % 2)) -eq 0 ] || PROGRAM=$ENV_TMP/stripped
  install >"$ENV_TMP/at-once$i" 2>&1 || echo "failed: $i"
done >"$ENV_TMP/at-once" &
for i in 5 6 7 8; do install >"$ENV_TMP/at-once$i" 2>&1 || echo "failed: $i"; done >"$ENV_TMP/at-once-too"
wait $!
same 'several at once: all succeed' '' "$(cat "$ENV_TMP/at-once" "$ENV_TMP/at-once-too" "$ENV_TMP"/at-once[1-8] | grep -v installed)"
check 'and what they leave works' installed version
same 'there is one version' 1 "$(versions)"

# ---- where it cannot be: one line, and nothing changed ----
# refused TEXT COMMAND...
refused() {
  local text=$1 before
  shift
  before=$(listing)
  "$@" >"$ENV_TMP/out" 2>"$ENV_TMP/err"
  same "refused: $text" 1 $?
  check 'with that reason' grep -q "$text" "$ENV_TMP/err"
  same 'in one line' '1 0' "$(wc -l <"$ENV_TMP/err") $(wc -l <"$ENV_TMP/out")"
  same 'and nothing changed' "$before" "$(listing)"
}
# mounted WHAT WHERE COMMAND...: with a file system of that kind in a mount namespace of its own
mounted() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  unshare -m bash -c 'mount --bind "$2" "$2" && case $1 in
    tmpfs) mount -t tmpfs none "$2" ;;
    *) mount -o "remount,bind,$1" "$2" ;;
  esac && shift 2 && "$@"' - "$@"
}
export -f host install
export PODCRED HOST ENV_TMP KUBEPODS AGENT_CGROUP PIN_DIR NODE_V4 AGENT_PORT
new_host refusing
mkdir "$HOST/opt"
rmdir "$HOST/run/systemd/system"
refused 'nothing on .* runs systemd' install
mkdir "$HOST/run/systemd/system"
refused '/etc/systemd/system of this host does not outlive a reboot' \
  mounted tmpfs "$HOST/etc/systemd/system" bash -c install
refused 'cannot write /etc/systemd/system .*Read-only file system; if the host is immutable' \
  mounted ro "$HOST" bash -c install
refused 'cannot write /opt/podcred .*Read-only file system; give a directory' mounted ro "$HOST/opt" bash -c install
refused '/opt/podcred of .* does not outlive a reboot' mounted tmpfs "$HOST/opt" bash -c install
mkdir "$HOST/opt/podcred"
refused '/opt/podcred of .* is mounted noexec' mounted noexec "$HOST/opt" bash -c install
rmdir "$HOST/opt/podcred"
refused 'is no directory to install in' install --dir opt
refused 'is no directory to install in' install --dir '/opt/pod cred'
refused 'cannot read /nowhere' host install --config /nowhere --kubepods "$KUBEPODS"
refused 'no agent address' host install --kubepods "$KUBEPODS"
echo '[Unit]' >"$HOST/$UNIT"
refused 'podcred-load.service is there, and not of podcred host install' install
same 'uninstall leaves what is not ours' 'nothing was installed' "$(host uninstall)"
check 'in place' test -f "$HOST/$UNIT"
install --best-effort >"$ENV_TMP/out" 2>"$ENV_TMP/err"
same '--best-effort: exit status 0, and one line' '0 1' "$? $(wc -l <"$ENV_TMP/err")"
rm "$HOST/$UNIT"
same 'exit status 2 for another action' 2 "$(host remove >/dev/null 2>&1 || echo $?)"

# ---- hosts of other shapes ----
new_host links
mkdir -p "$HOST/var/opt" "$HOST/usr/bin"
ln -s /var/opt "$HOST/opt" # as on Fedora CoreOS
: >"$HOST/usr/bin/env"
python3 -c 'import os, sys; os.setxattr(sys.argv[1], "security.selinux", b"system_u:object_r:bin_t:s0\0")' \
  "$HOST/usr/bin/env"
check 'links of the host lead into the host' install
check 'there it is' test -x "$HOST/var/opt/podcred/current/bin/podcred"
same 'programs and libraries are labelled like those of the host' 'bin_t bin_t' \
  "$(for file in bin/podcred lib/libc.so.6; do
    python3 -c 'import os, sys; print(os.getxattr(sys.argv[1], "security.selinux").decode().split(":")[2])' \
      "$HOST/var/opt/podcred/current/$file"
  done | xargs)"
host uninstall >/dev/null
same 'uninstall leaves what was there' "$(printf '%s\n' '' etc etc/systemd etc/systemd/system opt run run/systemd \
  run/systemd/system usr usr/bin usr/bin/env var var/opt)" "$(cd "$HOST" && find . -printf '%P\n' | sort)"

# ---- a boot: what the unit says, in the host's root; no resolver and no agent runs yet ----
HOST=$ENV_TMP/plain
boot() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  in_node unshare -m bash -c 'mkdir -p "$1/proc" "$1/sys" && mount --rbind /proc "$1/proc" &&
    mount --rbind /sys "$1/sys" && eval "chroot \"\$1\" $2"' - "$HOST" "$(exec_start)"
}
check 'what the unit starts attaches the guard' boot
is_complete() { podcred status --json | jq -e .complete; }
check 'which is complete' is_complete
# "code exit": of curl, 7 where nobody listens
answer() { in_pod "$1" curl -s -o /dev/null -w '%{http_code} %{exitcode}' -m 5 http://169.254.170.23/v1/credentials; }
same 'without an agent pods are refused' '000 7' "$(answer cart)"
same 'exempt ones too: nobody knows their names yet' '000 7' "$(answer plain)"
in_pod agent "$PODCRED" load --pin-dir "$PIN_DIR" --kubepods "$KUBEPODS" --config "$ENV_TMP/config.yaml" \
  >"$ENV_TMP/load.log" 2>&1
check "the DaemonSet's load finds it, and brings the agent's programs to its pod" \
  grep -qE '^[2-9] programs attached, 1[0-9] updated' "$ENV_TMP/load.log" || cat "$ENV_TMP/load.log"
AGENT_CGROUP=${POD_CGROUP[agent]}/container
env_resolve --config "$ENV_TMP/config.yaml"
env_associations >"$ENV_TMP/associations.yaml"
in_agent "$PODCRED" serve --agent "$NODE_V4:$AGENT_PORT" --associations "$ENV_TMP/associations.yaml" \
  >"$ENV_TMP/serve.log" 2>&1 &
check 'the agent comes' wait_for 10 agent_is_up_at "$NODE_V4"
same 'and pods get their credentials' AKIACART \
  "$(in_pod cart curl -s -m 5 http://169.254.170.23/v1/credentials | jq -r .AccessKeyId)"
is_exempt() { podcred pods | grep -q 'plain.*exempt'; }
check 'and exempt pods are known' wait_for 10 is_exempt

# ---- and away ----
check 'uninstall' host uninstall
same 'leaves nothing' '' "$(cd "$HOST" && find opt etc \( -type f -o -type l \))"
check 'but the guard that is attached' is_complete
same 'a second one has nothing to do' 'nothing was installed' "$(host uninstall)"
check_not 'status: the next boot is not guarded' host status
tap_done

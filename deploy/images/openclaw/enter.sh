#!/bin/sh
# Runs the bake inside a new root: enter.sh ROOTFS SCRATCH MODE (run by unshare: own mount, pid, net, ipc and uts namespaces).
#
# The root is read-only as in a sandbox; /data, /tmp and, for the bake alone, the compile cache can be written.
# SCRATCH is a directory outside the root that takes /data, so that a long bake does not eat memory.
set -eu
root=$1 scratch=$2 mode=$3

mount --make-rprivate /
mount --bind "$root" "$root"
mount -o remount,bind,ro,nosuid,nodev "$root"
if [ "$mode" = bake ]; then
    mount --bind "$root/opt/openclaw/compile-cache" "$root/opt/openclaw/compile-cache"
    mount -o remount,bind,rw,nosuid,nodev "$root/opt/openclaw/compile-cache"
fi
mount --bind "$scratch" "$root/data"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o size=256m,mode=1777,nosuid,nodev tmp "$root/tmp"
mount -t tmpfs -o size=64k,mode=755,nosuid dev "$root/dev"
for node in null zero full random urandom tty; do
    : > "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir -m 1777 "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
ip link set lo up 2>/dev/null || busybox ip link set lo up

exec env -i PATH=/usr/local/bin:/usr/bin:/bin BAKE_DEADLINE_MS="${BAKE_DEADLINE_MS:-240000}" \
    /usr/sbin/chroot "$root" /usr/bin/setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all \
    /opt/node/bin/node /data/bake.mjs "$mode"

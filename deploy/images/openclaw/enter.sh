#!/bin/sh
# Runs a program in a new root much as a sandbox would: enter.sh ROOTFS DATA WRITABLE UID PROGRAM [ARGUMENT…]
# Started by unshare in mount, pid, net, ipc and uts namespaces of its own.
#
# The root is read-only but for WRITABLE, a path inside it that may be empty. DATA is a directory of the host that is
# /data inside, on disk so that a long run does not eat memory.
set -eu
root=$1 data=$2 writable=$3 uid=$4
shift 4

mount --make-rprivate /
mount --bind "$root" "$root"
mount -o remount,bind,ro,nosuid,nodev "$root"
if [ -n "$writable" ]; then
    mount --bind "$root$writable" "$root$writable"
    mount -o remount,bind,rw,nosuid,nodev "$root$writable"
fi
mount --bind "$data" "$root/data"
mount -o remount,bind,rw,nosuid,nodev "$root/data"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro,nosuid,nodev,noexec "$root/proc/sys"
mount -t tmpfs -o size=256m,mode=1777,nosuid,nodev tmp "$root/tmp"
mount -t tmpfs -o size=64k,mode=755,nosuid dev "$root/dev"
for node in null zero full random urandom tty; do
    : > "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir -m 1777 "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
ip link set lo up

cd /
exec env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/data LANG=C.UTF-8 \
    "$(command -v chroot)" "$root" /usr/bin/setpriv --reuid "$uid" --regid "$uid" --clear-groups \
    --no-new-privs --inh-caps=-all --bounding-set=-all "$@"

#!/bin/bash
# boot.sh PACKAGES OUT: boots systemd on a copy of this machine's root, with the packages of a folder installed, and lets probe.sh look
# around. The copy is an overlay in memory; processes, mounts, network and names are namespaces of its own, and what is the kernel's
# (/sys, /proc/sys) can only be read: nothing of this machine changes, and nothing leaves it. It needs root.
set -euo pipefail
packages=$1 out=$2 here=$(cd "$(dirname "$0")" && pwd)

if [ "${3:-}" = "" ]; then # outside: a cgroup of its own, and namespaces
	exec unshare --mount --propagation private "$0" "$packages" "$out" group
fi
if [ "$3" = group ]; then
	mkdir "$out/cg" && mount -t cgroup2 cgroup2 "$out/cg"
	group=$out/cg/tickwire-boot-$$
	mkdir "$group"
	echo $$ >"$group/cgroup.procs"
	status=0
	timeout -k 5 "${BOOT_SECONDS:-240}" unshare --mount --pid --fork --kill-child --uts --ipc --net --cgroup --propagation private "$0" "$packages" "$out" inside || status=$?
	echo $$ >"$out/cg/cgroup.procs"
	find "$group" -depth -type d -exec rmdir {} + || true
	umount "$out/cg" && rmdir "$out/cg"
	exit $status
fi

mkdir "$out/copy" && mount -t tmpfs tmpfs "$out/copy"
mkdir "$out/copy/"{upper,work,root}
root=$out/copy/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$out/copy/upper,workdir=$out/copy/work" "$root"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys" && mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
	touch "$root/dev/$device" && mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts" && ln -s pts/ptmx "$root/dev/ptmx"
mkdir "$root/run/out" "$root/run/packages"
mount --bind "$out" "$root/run/out"
mount --bind "$packages" "$root/run/packages"
ip link set lo up
ip link add feed0 type veth peer name gen0 # a cable, for AF_XDP
ip addr add 10.203.0.1/24 dev feed0
ip link set feed0 up && ip link set gen0 up

# A machine that never had tickwire, and starts nothing but what it must.
rm -rf "$root"/{etc,var/lib,var/cache}/tickwire "$root"/etc/systemd/system/*.wants
for unit in systemd-sysctl systemd-modules-load systemd-binfmt systemd-random-seed systemd-udevd systemd-udev-trigger systemd-hwdb-update; do
	ln -sf /dev/null "$root/etc/systemd/system/$unit.service"
done
for unit in sys-kernel-debug sys-kernel-tracing sys-kernel-config sys-fs-fuse-connections tmp; do
	ln -sf /dev/null "$root/etc/systemd/system/$unit.mount"
done
rm -f "$root/var/lib/man-db/auto-update" # an index of man pages takes longer than all else
chroot "$root" sh -c 'exec dpkg --force-unsafe-io -i /run/packages/tickwire_*.deb /run/packages/ticktune_*.deb' >"$out/dpkg" 2>&1 || { cat "$out/dpkg"; exit 1; }
cp "$here/boot.toml" "$root/etc/tickwire/tickwire.toml"
cp "$here/probe.sh" "$root/run/probe.sh"
cat >"$root/etc/systemd/system/boot.target" <<X
[Unit]
Requires=basic.target
Wants=tickwire-feed@f.service tickwire-serve.service tickwire-consolidate.service probe.service
X
cat >"$root/etc/systemd/system/probe.service" <<X
[Unit]
After=tickwire-feed@f.service tickwire-serve.service tickwire-consolidate.service
[Service]
Type=oneshot
ExecStart=/bin/bash /run/probe.sh
X
exec chroot "$root" /usr/bin/env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
	setpriv --bounding-set=-sys_time,-sys_module,-sys_rawio,-syslog,-mac_admin,-mac_override \
	/lib/systemd/systemd --system --unit=boot.target --show-status=0

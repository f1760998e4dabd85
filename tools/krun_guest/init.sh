#!/bin/sh
# First process of the guest that make.py makes: sets up what systemd would, runs /diatom/job, tells its exit status, and
# ends the VM. There is no udev: the ports of run.py get their names here.
export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/root LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 cgroup /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=0666,mode=0620,gid=5 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=0755 run /run
ln -sf /proc/self/fd /dev/fd
for port in /sys/class/virtio-ports/*; do
    read -r name <"$port/name"
    ln -s "${port##*/}" "/dev/$name"
done
ip link set lo up
# An address that is not loopback's, for the tests that tell one from the other. Nothing leaves this machine.
ip address add 192.0.2.1/32 dev lo
ip route add default dev lo src 192.0.2.1
mount -o noatime /dev/vdb /diatom
setsid sh /diatom/job </dev/null >/dev/output 2>&1
echo $? >/dev/status
busybox reboot -f

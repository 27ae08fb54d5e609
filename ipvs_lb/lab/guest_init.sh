#!/bin/bash
# The first process of a guest kernel whose root is the host's file system: makes the guest
# usable, runs the job's command, leaves its exit status in the job's folder, and powers off.
# What is written to /etc, /usr/lib, /var, /run, /dev/shm and $TMPDIR stays in the guest.
job=$IPVS_LB_JOB modules=$IPVS_LB_MODULES
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm /dev/net
ln -sfn /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/tmp /run/kept /run/layers
chmod 1777 /run/lock /run/tmp

# An overlay needs its module before modprobe can find any.
overlay=$(find "$modules/kernel/fs/overlayfs" -name 'overlay.ko*' 2>/dev/null)
[ -z "$overlay" ] || insmod "$overlay"
cwd=$(cat "$job/cwd")
mount --bind "$cwd" /run/kept
for folder in "$(readlink -f /lib)" /etc /var; do
    layer=/run/layers$folder
    mkdir -p "$layer/upper" "$layer/work"
    mount -t overlay -o "lowerdir=$folder,upperdir=$layer/upper,workdir=$layer/work" overlay "$folder"
done
case $cwd in /etc/* | /var/* | /lib/* | /usr/lib/*) mount --bind /run/kept "$cwd" ;; esac
umount /run/kept

release=$(uname -r)
mkdir -p "/lib/modules/$release"
mount --bind "$modules" "/lib/modules/$release"
modprobe -q tun && [ ! -e /dev/net/tun ] && mknod /dev/net/tun c 10 200
modprobe ip_vs
ip link set lo up
echo guest >/proc/sys/kernel/hostname
echo 127.0.0.1 localhost guest >>/etc/hosts
rm -f /etc/resolv.conf # there is no name server to wait for
: >/etc/resolv.conf

out=/dev/${IPVS_LB_OUT:-tty1} err=/dev/${IPVS_LB_ERR:-tty2}
stty -F "$out" raw
stty -F "$err" raw
: >"$job/started"
if [ -e "$job/terminal" ]; then
    # shellcheck disable=SC2046 # words for stty
    stty -F "$out" $(cat "$job/terminal")
    setsid --wait bash "$job/command" </dev/null >"$out" 2>"$err"
    status=$?
else
    exec 3> >(exec cat >"$out")
    cats=$!
    exec 4> >(exec cat >"$err")
    cats="$cats $!"
    setsid --wait bash "$job/command" </dev/null >&3 2>&4 3>&- 4>&-
    status=$?
    exec 3>&- 4>&-
    # A process the command left behind may hold these pipes: do not wait for it for ever.
    for _ in {1..30}; do
        # shellcheck disable=SC2086 # two words
        kill -0 $cats 2>/dev/null || break
        sleep 0.1
    done
fi
stty -F "$out" cooked # changing the mode waits until everything written has left
stty -F "$err" cooked
echo "$status" >"$job/status"
sync
echo o >/proc/sysrq-trigger
sleep 60

# SPDX-License-Identifier: BSD-2-Clause
#
# loader.conf: the module is loaded by the lines people know, a bad line is told and
# stops nothing, and hw.vmm.maxcpu bounds what bhyve takes.

. /with/tests/lib.sh

mkdir -p /etc/vmm
conf=/etc/vmm/loader.conf

# fresh: no module, and an empty file.
fresh() {
	[ ! -e /sys/module/vmm ] || rmmod vmm
	: >$conf
}

# loader [OPTION...]: runs vmm-loader as the boot does.
loader() {
	vmm-loader "$@" >"$scratch/out" 2>"$scratch/err"
	status=$?
}

maxcpu() {
	sysctl -n hw.vmm.maxcpu 2>&1
}

# says NAME PATTERN: a line of what was said on standard error.
says() {
	holds "$1" "$scratch/err" "$2"
}

fresh
rm $conf
loader
is loader.no-file "$status $(cat "$scratch/err")$(ls -d /sys/module/vmm 2>/dev/null)" "0 "

fresh
echo 'vmm_load="NO"' >$conf
loader
is loader.NO "$status $(cat "$scratch/err")$(ls -d /sys/module/vmm 2>/dev/null)" "0 "

fresh
echo 'vmm_load="YES"' >$conf
loader
is loader.YES "$status $(cat "$scratch/err")" "0 "
is loader.one-line-is-enough "$(ls /dev/vmmctl)" /dev/vmmctl
is loader.maxcpu-is-that-of-the-machine "$(maxcpu)" "$(grep -c ^processor /proc/cpuinfo)"

# What udev's rule matches.
is loader.udev-subsystem "$(basename "$(readlink /sys/class/vmm/vmmctl/subsystem)")" vmm

echo 'hw.vmm.maxcpu="5"' >>$conf
loader
says loader.loaded-already "^vmm-loader: .*already"
is loader.loaded-already-is-no-failure "$status $(maxcpu)" \
	"0 $(grep -c ^processor /proc/cpuinfo)"

# The example: N processors for a VM.
fresh
printf 'vmm_load="YES"\nhw.vmm.maxcpu="12"\n' >$conf
loader
is loader.maxcpu "$status $(maxcpu)" "0 12"
is loader.maxcpu-as-a-parameter "$(cat /sys/module/vmm/parameters/maxcpu)" 12
is loader.sysctl-prints "$(sysctl hw.vmm.maxcpu)" "hw.vmm.maxcpu = 12"

# A bad line between good ones; a value out of range is not the module's to refuse.
fresh
printf '# boot\nvmm_load="YES"\nbad line\nhw.vmm.maxcpu="3"\nhw.vmm.maxcpu="999"\n' >$conf
loader
says loader.bad-line-has-its-number "^vmm-loader: $conf:3: "
says loader.bad-value-has-its-number "^vmm-loader: $conf:5: .*999"
is loader.bad-line-stops-nothing "$status $(maxcpu)" "0 3"

# What the module cannot do is told as well.
fresh
echo 'vmm_load="YES"' >$conf
mv /lib/modules/*/extra/vmm.ko "$scratch"
loader
is loader.no-module "$status" 1
says loader.no-module-is-told "^vmm-loader: modprobe vmm: "
mv "$scratch/vmm.ko" /lib/modules/*/extra/

# The line for modprobe.d is what modprobe reads.
fresh
printf 'vmm_load="YES"\nhw.vmm.maxcpu="6"\n' >$conf
vmm-loader -o >/etc/modprobe.d/loader.conf
modprobe vmm
is loader.by-hand "$(maxcpu)" 6
rm /etc/modprobe.d/loader.conf

# There is no limit of ours below 255.
fresh
printf 'vmm_load="YES"\nhw.vmm.maxcpu="255"\n' >$conf
loader
is loader.maxcpu-255 "$status $(maxcpu)" "0 255"

# payload CPUS COUNT: a guest that starts COUNT processors; leaves the VM.
payload() {
	bhyveload -m 64M -k /with/payload.elf -a "smp32_all_processors_start $2" many &&
		timeout 300 bhyve -c "$1" -m 64M -A -l testdev many
} >"$scratch/out" 2>"$scratch/err"

for cpus in $MANY_CPUS; do
	payload $cpus $cpus
	is "loader.$cpus-processors" "$? $(cat "$scratch/err")" "33 "
	bhyvectl --vm=many --destroy
done

# topology CPUS SOCKETS CORES THREADS: the machine is made so, and says so.
topology() {
	payload "$1,sockets=$2,cores=$3,threads=$4" 2
	is "loader.topology-$2-$3-$4" "$? $(bhyvectl --vm=many --get-cpu-topology)" \
		"33 $(printf 'cpu_topology:\tsockets=%s, cores=%s, threads=%s, maxcpus=255' \
			"$2" "$3" "$4")"
	bhyvectl --vm=many --destroy
}

for of in $TOPOLOGIES; do
	topology $(echo $of | tr , ' ')
done

bhyve -c 256 many 2>"$scratch/err"
is loader.256-processors $? 4
says loader.256-processors-is-told "^bhyve: -c 256: hw.vmm.maxcpu allows 255 CPUs"
rmmod vmm
modprobe vmm maxcpu=300 2>"$scratch/err"
check loader.maxcpu-300-is-refused "it was loaded" [ ! -e /sys/module/vmm ]
dmesg | grep 'vmm: maxcpu' >"$scratch/err"
says loader.maxcpu-300-in-the-log 'maxcpu=300: the limit is 255'

rm -rf /etc/vmm
load_vmm
exit $failed

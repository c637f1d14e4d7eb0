# SPDX-License-Identifier: BSD-2-Clause
#
# Mistakes at the command line: one line that says what and why, a status that is
# not 0, and nothing left behind.

. /with/tests/lib.sh

# refuses NAME PATTERN COMMAND...: COMMAND fails, with one line that holds PATTERN.
refuses() {
	name=commands.$1 pattern=$2
	shift 2
	"$@" >"$scratch/out" 2>"$scratch/err" </dev/null
	status=$?
	lines=$(wc -l <"$scratch/err")
	if [ $status -eq 0 ]; then
		not_ok "$name" "it succeeded"
	elif [ "$lines" -ne 1 ]; then
		not_ok "$name" "$lines lines: $(tr '\n' '|' <"$scratch/err")"
	elif ! grep -qiE -- "^$(basename "$1"|sed s/su/.*/): .*$pattern" "$scratch/err"; then
		not_ok "$name" "says: $(cat "$scratch/err")"
	elif [ -n "$(ls /dev/vmm 2>/dev/null)" ]; then
		not_ok "$name" "left $(ls /dev/vmm)"
		for vm in $(ls /dev/vmm); do
			bhyvectl --vm="$vm" --destroy
		done
	else
		ok "$name"
	fi
}

bhyve_title() {
	tr -d '\0' <"/proc/$(pidof bhyve)/cmdline"
}

echo "just some text, and no kernel at all" >"$scratch/text"
: >"$scratch/empty"
head -c 3000 /guest/vmlinuz >"$scratch/cut"
kernel=/guest/vmlinuz

refuses no-such-kernel "No such file" bhyveload -k /nowhere vm
refuses not-a-kernel "not a kernel" bhyveload -k "$scratch/text" vm
refuses empty-kernel "" bhyveload -k "$scratch/empty" vm
refuses truncated-kernel "truncated|too short|ends|shorter" bhyveload -k "$scratch/cut" vm
refuses kernel-is-a-folder "directory|not a" bhyveload -k /tmp vm
refuses no-such-initrd "No such file" bhyveload -k $kernel -i /nowhere vm
refuses memory-0 "memory|size" bhyveload -m 0 -k $kernel vm
refuses memory-not-a-number "size" bhyveload -m lots -k $kernel vm
refuses memory-beyond-the-host "memory" bhyveload -m 1000G -k $kernel vm
refuses memory-too-small "memory|fit|room" bhyveload -m 1M -k $kernel vm
refuses bad-option "usage|option" bhyveload -Z vm
refuses no-vm-name "usage|name" bhyveload -k $kernel
refuses bad-vm-name "" bhyveload -k $kernel a/b
refuses long-vm-name "" bhyveload -k $kernel "$(printf '%0300d' 1)"
refuses bhyve-bad-option "usage|option" bhyve -Z vm
refuses bhyve-no-name "usage|name" bhyve -c 1
refuses bhyve-0-cpus "cpu" bhyve -c 0 vm
refuses bhyve-too-many-cpus "maxcpu" bhyve -c 9 vm
refuses bhyve-bad-slot "" bhyve -s 99,hostbridge vm
refuses bhyve-unknown-device "nosuchdevice" bhyve -s 3,nosuchdevice vm
refuses bhyve-memory-0 "memory|size" bhyve -m 0 vm
refuses bhyvectl-no-vm "" bhyvectl --get-stats
refuses bhyvectl-no-such-vm "No such|not exist" bhyvectl --vm=nobody --get-stats
refuses bhyvectl-bad-option "usage|option" bhyvectl --no-such-option

bhyvectl --vm=taken --create
bhyvectl --vm=taken --create 2>"$scratch/err"
is commands.vm-exists-already $? 1
holds commands.vm-exists-says "$scratch/err" "exists"
bhyvectl --vm=taken --destroy

refuses no-permission "Permission|permitted" su mallory -c "bhyvectl --vm=mine --create"

# What nobody has loaded is not run, whether there is such a VM or not.
refuses bhyve-no-such-vm "virtual machine cannot be booted" bhyve vm
bhyvectl --vm=blank --create
bhyve blank >"$scratch/out" 2>"$scratch/err"
is commands.not-loaded "$? $(cut -d'(' -f1 "$scratch/err")" \
	"4 bhyve: blank: virtual machine cannot be booted: nothing has been loaded into it "
bhyvectl --vm=blank --destroy
# It executes whatever is there, until SIGTERM powers it off.
if [ -n "$IF_HOLDS_CPU" ]; then
	echo "skip commands.empty-is-run: $IF_HOLDS_CPU"
else
	timeout 5 bhyve -m 64M --empty blank >"$scratch/out" 2>"$scratch/err" &
	until bhyve_title | grep -q "^bhyve: " || ! kill -0 $!; do
		sleep 0.1
	done 2>/dev/null
	title=$(bhyve_title)
	wait $!
	is commands.empty-is-run "$? $(cat "$scratch/err")" "1 "
	is commands.process-title "$title" "bhyve: blank"
	bhyvectl --vm=blank --destroy
fi

# Values out of range are named, with what is allowed.
refuses bhyve-no-such-cpu "-p 0:1000: bhyve may run on the CPUs" bhyve --empty -p 0:1000 vm
refuses bhyve-device-of-others "bhyve has it, this version does not" bhyve -s 3,ahci-hd,disk vm
bhyvectl --vm=blank --create --set-mem=64M
for options in --cpu=1000 --set-cr0=0x80000000 --set-mem=128M --rtc-nvram-offset=128; do
	bhyvectl --vm=blank $options --get-rip >"$scratch/out" 2>"$scratch/err"
	is "commands.bhyvectl$options" $? 1
	check "commands.bhyvectl$options-says" "$(cat "$scratch/err")" \
		grep -Eq "to 7|not accept 0x80000000|has 64M already|more than 0x7f" "$scratch/err"
done
bhyvectl --vm=blank --destroy

rmmod vmm
refuses module-not-loaded "/dev/vmmctl|module|load" bhyveload -k $kernel vm
refuses bhyvectl-module-not-loaded "/dev/vmmctl|module|load" bhyvectl --vm=x --create
load_vmm

for command in bhyve bhyve-slirp bhyvectl bhyveload vmm-loader; do
	for option in --help -h; do
		$command $option >"$scratch/out" 2>&1
		is "commands.$command$option" $? 0
		holds "commands.$command$option-says" "$scratch/out" "^usage: $command"
	done
	$command --version >"$scratch/out" 2>&1
	is "commands.$command--version" "$? $(cat "$scratch/out")" \
		"0 $command (vmm) $(cat /proc/sys/hw/vmm/version)"
done

exit $failed

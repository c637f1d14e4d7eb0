# SPDX-License-Identifier: BSD-2-Clause
#
# bhyve killed at any moment, two VMs at once, a processor that goes and comes
# under a running VM: the other VM does not notice, and nothing is left.

. /with/tests/lib.sh

# A guest with two vCPUs that sends itself interrupts until it is killed.
start_busy() {
	bhyveload -m 64M -k /with/payload.elf -a "smp2_forever" "$1" &&
		bhyve -c 2 -m 64M -A -l testdev "$1" >"$scratch/$1" 2>&1 </dev/null &
}

# The number of dots the guest has printed: it lives while they grow.
progress() {
	wc -c <"$scratch/$1"
}

advances() {
	before=$(progress "$1")
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		sleep 1
		[ "$(progress "$1")" -gt "$before" ] && return 0
	done
	return 1
}

start_busy witness
sleep 2
check storm.witness-runs "no output" advances witness

# Says how many victims there were.
kill_victims() {
	killed=0
	while [ $killed -lt "$COUNT_KILLS" ]; do
		bhyveload -m 64M -k /with/payload.elf -a smp2_forever victim >&2 || break
		bhyve -c 2 -m 64M -A -l testdev victim >/dev/null 2>&1 </dev/null &
		victim=$!
		usleep $((RANDOM % 120000))
		kill -9 $victim
		wait $victim 2>/dev/null
		# It is gone with its process, unless that was killed before it used it.
		[ ! -e /dev/vmm/victim ] || bhyvectl --vm=victim --destroy >&2 || break
		killed=$((killed + 1))
	done
	echo $killed
}

# What the kernel holds on behalf of the victims' group, in KiB, once that has settled:
# some is freed later, and the count is brought up to date every other second.
left_behind() {
	before= now=none
	while [ "$now" != "$before" ]; do
		before=$now
		echo 3 >/proc/sys/vm/drop_caches
		usleep 2500000
		now=$(awk '$1 == "kernel" { print int($2 / 1024) }' $group/memory.stat)
	done
	echo "$now"
}

group=/sys/fs/cgroup/victims
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
mkdir $group
held_before=$(held)
killed=$(echo 0 >$group/cgroup.procs && kill_victims)
is storm.killed-at-any-moment "$killed" "$COUNT_KILLS"
check storm.witness-undisturbed "it has stopped" advances witness
is storm.memory-is-back "$(held)" "$held_before"
left=$(left_behind)
check storm.victims-leave-nothing "$left KiB" [ "$left" -lt $((COUNT_KILLS * 4 / 2)) ]
rmdir $group

# The second processor goes and comes, a few times.
cpu=/sys/devices/system/cpu/cpu1/online
turns=0
while [ $turns -lt "$COUNT_HOTPLUGS" ]; do
	echo 0 >$cpu || break
	usleep $((RANDOM % 300000))
	echo 1 >$cpu || break
	usleep $((RANDOM % 300000))
	turns=$((turns + 1))
done
is storm.cpu-goes-and-comes $turns "$COUNT_HOTPLUGS"
check storm.witness-survives-hotplug "it has stopped" advances witness

killall -9 bhyve
wait
check storm.killed-witness-is-gone "it is there" [ ! -e /dev/vmm/witness ]

# After the last VM every processor is clean: KVM, if it is there, could take them.
exit $failed

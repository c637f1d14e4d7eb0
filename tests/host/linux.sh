# SPDX-License-Identifier: BSD-2-Clause
#
# A Debian kernel as guest: processors, clocks, AVX, and how a run ends.

. /with/tests/lib.sh

# What a guest says of itself; its own log must not complain, except of what the
# emulation is to blame for: reads of the 8254 that take uneven time (the HPET is
# taken then), and microcode that an emulated EPYC has not. " #2 #3" is not a complaint
# but the rest of a line on processors, torn by another.
report='
echo cpus=$(grep -c ^processor /proc/cpuinfo)
echo clock=$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)
echo complaints=$(dmesg -r | grep -E "^<[0-4]>|WARNING|BUG:|Call Trace" |
	grep -vE "Unable to calibrate against PIT|Speculative Return Stack|\]( +#[0-9]+)+$" |
	tr "\n" ";")
'

for cpus in $LINUX_CPUS; do
	linux_guest $cpus "$report"
	is "linux.$cpus-cpus-powers-off" $? 1
	is "linux.$cpus-cpus-online" "$(printed cpus)" $cpus
	is "linux.$cpus-cpus-clock" "$(printed clock)" tsc
	is "linux.$cpus-cpus-log" "$(printed complaints)" ""
done

# What make run does. The report is its last line, and up in less than a minute; only a
# guest that has turned itself off is a success.
/lab/boot-guest >"$scratch/report" 2>&1 </dev/null
is linux.report-status $? 0
is linux.report "$(tr -d '\r' <"$scratch/report" | tail -n 1 |
	sed 's/ [0-9]* MiB/ N MiB/; s/ [1-5]\{0,1\}[0-9]\.[0-9]* seconds/ N seconds/')" \
	"guest: Linux $(uname -r), 2 CPUs online, N MiB memory, clock source tsc,\
 N seconds from start"
(until killall -q -9 bhyve; do sleep 0.2; done) &
/lab/boot-guest >"$scratch/report" 2>&1 </dev/null
is linux.report-of-a-killed-guest $? 1
wait

linux_guest 1 'reboot -f'
is linux.reboot-is-0 $? 0
linux_guest 2 'halt -f'
is linux.halt-is-2 $? 2
linux_guest 1 'reboot -f' 'reboot=triple'
is linux.triple-fault-is-3 $? 3

# within NAME ACTUAL EXPECTED PERCENT
within() {
	check "$1" "$2 is not within $4% of $3" awk -v a="$2" -v e="$3" -v p="$4" \
		'BEGIN { exit !(a > e * (1 - p / 100) && a < e * (1 + p / 100)) }'
}

# A kernel without ACPI finds the processors in the MP table. It resets by a jump to F000:FFF0.
linux_guest 2 'echo cpus=$(grep -c ^processor /proc/cpuinfo); reboot -f' 'acpi=off reboot=bios'
is linux.reboot-by-the-bios-is-0 $? 0
is linux.mp-table-cpus "$(printed cpus)" 2

# What it makes of what firmware leaves behind.
linux_guest 2 '
echo mtrr=$(grep -c "base=0x0c0000000.*size= *1024MB.*uncachable" /proc/mtrr)
echo pat=$(dmesg | grep -c "PAT: Configuration.*WC")
echo mmconfig=$(grep -Ec "e0000000-e00fffff : (Reserved|PCI (MMCONFIG|ECAM) 0000)" /proc/iomem)
echo processors=$(ls -d /sys/bus/acpi/devices/ACPI0007:* | wc -l)
echo spcr=$(dmesg | grep -c "SPCR: console: uart,io,0x3f8")
/guest_avx; echo avx=$?
echo start; sleep 10; echo stop
'
is linux.mtrr "$(printed mtrr)" 1
is linux.pat-has-write-combining "$(printed pat)" 1
# The range twice: as the E820 has it, and as what Linux uses it for.
is linux.mmconfig-is-reserved "$(printed mmconfig)" 2
is linux.acpi-processors "$(printed processors)" 2
is linux.spcr "$(printed spcr)" 1
is linux.avx "$(printed avx)" 0
within linux.sleep-10 "$(between start stop)" 10 1

exit $failed

# SPDX-License-Identifier: BSD-2-Clause
#
# Sourced by the lab's shell scripts: runs slow steps and says how long they
# took. A step's own output is kept back and shown only if the step fails.

# step DESCRIPTION COMMAND...: on a terminal a line with the time taken.
step() {
	_what=$1
	shift
	_log=$(mktemp)
	_start=$(date +%s)
	[ ! -t 2 ] || printf '  %s ...' "$_what" >&2
	if "$@" >"$_log" 2>&1 </dev/null 9>&-; then
		[ ! -t 2 ] || printf '\r  %s: %d s\n' "$_what" $(($(date +%s) - _start)) >&2
		rm -f "$_log"
		return 0
	fi
	[ ! -t 2 ] || echo >&2
	echo "failed: $_what" >&2
	tail -n 30 "$_log" >&2
	rm -f "$_log"
	return 1
}

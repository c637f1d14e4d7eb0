# SPDX-License-Identifier: BSD-2-Clause
#
# Sourced by the lab's shell scripts: runs slow steps and says how long they
# took. A step's own output is kept back and shown only if the step fails.

# step DESCRIPTION COMMAND...: on a terminal a line with the time taken.
step() {
	try_step "$@" && return
	echo "failed: $1" >&2
	echo "$_output" | tail -n 30 >&2
	return 1
}

# The same, but silent if the step fails: the caller tries something else.
try_step() {
	_what=$1
	shift
	_start=$(date +%s)
	[ ! -t 2 ] || printf '  %s ...' "$_what" >&2
	if _output=$("$@" 2>&1 </dev/null 9>&-); then
		[ ! -t 2 ] || printf '\r  %s: %d s\n' "$_what" $(($(date +%s) - _start)) >&2
		return 0
	fi
	[ ! -t 2 ] || echo >&2
	return 1
}

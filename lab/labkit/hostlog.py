# SPDX-License-Identifier: BSD-2-Clause
"""Reads an emulated host's kernel log for signs that something went wrong."""

import re

# Each is a reason to call a run failed, whatever its command said.
TROUBLE = re.compile(
    r"Kernel panic"
    r"|\bOops\b"
    r"|\bBUG\b"
    r"|^(?:\[[^]]*\] )?WARNING\b"  # of advice on mitigations the name of one stands before it
    r"|Call Trace"
    r"|\blockup\b"
    r"|rcu.*(?:stall|expedited.*stalls|kthread starved)"
    r"|blocked for more than \d+ seconds"
    r"|general protection fault"
    r"|unable to handle"
    r"|unchecked MSR access"
    r"|\bUBSAN\b|\bKASAN\b|\bKFENCE\b"
    r"|bad page state|Bad page"
    r"|segfault at"
    r"|trap invalid opcode",
    re.MULTILINE,
)


def find_trouble(log):
    """Returns the first line of LOG (a string) that tells of trouble, or None."""
    for line in log.splitlines():
        if TROUBLE.search(line):
            return line.strip()
    return None


def tail(log, lines=40):
    return "\n".join(log.splitlines()[-lines:])

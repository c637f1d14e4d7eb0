# SPDX-License-Identifier: BSD-2-Clause
#
# Files of the module that libvmmapi is built from as well: paths below module/.
X86_SHARED_SRCS := x86/decode.c x86/decode_table.c x86/emulate_alu.c x86/emulate_insn.c \
	x86/emulate_operand.c x86/emulate_stack.c x86/emulate_string.c x86/emulate_vector.c

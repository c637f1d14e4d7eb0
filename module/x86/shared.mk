# SPDX-License-Identifier: BSD-2-Clause
#
# Files of the module that libvmmapi is built from as well: paths below module/.
X86_SHARED_SRCS := $(addprefix x86/emulate/,decode.c decode_table.c emulate_alu.c emulate_bits.c emulate_insn.c \
	emulate_operand.c emulate_stack.c emulate_string.c emulate_system.c emulate_vector.c \
	emulate_x87.c)

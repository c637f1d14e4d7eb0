# SPDX-License-Identifier: BSD-2-Clause
#
# For the scripts of this layer: where things are, and results.

here=$(dirname "$0")
kernel=${KERNELS:-6.1}
kernel=${kernel%% *}
version=$(sed -n 's/^#define VMM_VERSION //p' include/vmm/version.h)
cache=${VMM_CACHE:-$HOME/.cache/vmm}

results_prefix=config.
. "$here/../lib/results.sh"

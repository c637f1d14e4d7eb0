// SPDX-License-Identifier: BSD-2-Clause
/* The unit tests' scripted back end, for the fuzzers. */
#include "../unit/fake_backend.c"

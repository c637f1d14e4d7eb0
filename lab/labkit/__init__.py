# SPDX-License-Identifier: BSD-2-Clause
"""What lab/run is made of: see lab/run."""

# SPDX-License-Identifier: GPL-2.0-only
"""The parts of the everyday verbs; each executable in tools/vm is a thin front of one of them."""

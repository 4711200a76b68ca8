#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# cxx_check.sh OBJECT PORT_H: the C++ unit may need nothing but the port and the
# compiler's runtime as the kernel has it, and must have no static constructor.
#
# The port's functions are read from PORT_H itself, so the list cannot go stale.
set -eu

object=$1
port=$2
nm=${NM:-nm}

fail()
{
	rm -f "$object"
	echo "$0: $object: $1" >&2
	exit 1
}

allowed=$(grep -o '\bport_[a-z0-9_]*(' "$port" | tr -d '(' | sort -u)
[ -n "$allowed" ] || fail "no function found in $port"

# What compilers call by themselves and kernels provide to modules.
runtime='^(mem(cpy|move|set|cmp)|__mem(cpy|move|set)|__fentry__|__x86_.*|__cfi_.*|__kcfi_.*
|__(asan|hwasan|tsan|ubsan|msan|kasan)_.*|__sanitizer_.*|__stack_chk_fail|__stack_chk_guard
|__ref_stack_chk_guard|__warn_thunk.*|__gcov_.*|__llvm_.*)$'
runtime=$(echo "$runtime" | tr -d '\n')

undefined=$($nm -u "$object" | sed 's/.* //' | grep -Ev "$runtime" || :)
bad=
for symbol in $undefined; do
	echo "$allowed" | grep -qx "$symbol" || bad="$bad $symbol"
done
[ -z "$bad" ] || fail "needs symbols that are not in the port:$bad"

# KCSAN and KASAN register themselves by constructors of their own names.
if $nm "$object" | grep -q '_GLOBAL__sub_I_'; then
	fail "has a static constructor"
fi

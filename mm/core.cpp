// SPDX-License-Identifier: GPL-2.0-only
// The one C++ unit of the kernel build: two units that emit the same template would each carry its __mcount_loc entry,
// and the linker drops one of them. On the host each file is a unit of its own.
#include "mm/advice.cpp"
#include "mm/bind/interval.cpp"
#include "mm/bind/object.cpp"
#include "mm/bind/rebind.cpp"
#include "mm/bind/span_map.cpp"
#include "mm/format.cpp"
#include "mm/migrate.cpp"
#include "mm/mirror.cpp"
#include "mm/prefetch.cpp"
#include "mm/reclaim.cpp"
#include "mm/room.cpp"
#include "mm/stops.cpp"
#include "mm/vm.cpp"

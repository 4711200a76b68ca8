// SPDX-License-Identifier: GPL-2.0-only
// Mellanox mlx5, on-demand paging: what an implicit memory region's translation tables hold. Linux 7.3,
// drivers/infiniband/hw/mlx5/odp.c (populate_ksm(), populate_mtt()), mlx5_ib.h (MLX5_IB_MTT_READ, _WRITE) and
// include/linux/mlx5/device.h (struct mlx5_ksm, struct mlx5_mtt). All words are big-endian.
//
//	KSM, 16 bytes: 0 reserved, 4 key of the region below, 8 address in that region. Key 0 is none.
//	MTT,  8 bytes: DMA address of a page; bit 0 it may be read, bit 1 written. With neither, an access faults.
//
// The tables here are a radix tree: KSM 47:39, 38:30, 29:21 and MTT 20:12. Each table is a region of its own (an mkey
// whose log_page_size is that of its entries) that begins at address 0, so a link is the key alone: it is what the
// backend gives as svm_table_mem's addr. The driver's own tree has one level of KSM above MTTs of 1 GiB. The device
// reads these words when the driver sends them in a UMR: publish() and flush_begin() are the places for that.
//
// There are no leaves above an MTT, no hints, no memory of the device's own, no words that forbid atomics alone, and
// no null pages. A retired leaf is one without bits 0 and 1: bit 3 marks it, and bit 2 says that it could be written.
#pragma once

#include "mm/pt/format.hpp"

namespace svm {

struct mlx5_odp {
	static constexpr const char *name = "mlx5_odp";
	static constexpr unsigned va_bits = 48;
	static constexpr unsigned depth = 4;
	static constexpr level levels[depth] = {
		{ 39, 9, 4, false, false },
		{ 30, 9, 4, false, false },
		{ 21, 9, 4, false, false },
		{ 12, 9, 3, true, false },
	};
	static constexpr u32 hints = 0;
	static constexpr u32 side_bytes = 0;
	static constexpr bool denies_atomics = false;
	static constexpr bool vram = false;

	static constexpr u64 readable = bit(0);
	static constexpr u64 writeable = bit(1);
	static constexpr u64 was_writeable = bit(2);
	static constexpr u64 gone = bit(3);
	static constexpr u64 address_mask = ~(bit(12) - 1);

	static constexpr u64 empty(unsigned) { return 0; }

	// Of a KSM, the half with the key.
	static u64 load(const void *entry) { return __builtin_bswap64(__atomic_load_n(static_cast<const u64 *>(entry), __ATOMIC_RELAXED)); }
	static void store(void *entry, unsigned, u64 w) { put(entry, w, __ATOMIC_RELAXED); }

	// The address in the region below is 0, as it was when the table came. Release: as in xe2.
	static void link(void *entry, unsigned, u64 key, svm_aperture) { put(entry, key, __ATOMIC_RELEASE); }

	static constexpr entry_state classify(u64 w, unsigned lv)
	{
		if (!w)
			return entry_state::empty;
		if (lv + 1 < depth)
			return entry_state::link;
		return w & readable ? entry_state::valid : entry_state::retired;
	}

	static constexpr u64 leaf(unsigned, u64 addr, leaf_attrs a) { return addr | readable | (a.write ? writeable : 0); }
	static constexpr u64 null_leaf(unsigned) { return 0; }
	static constexpr bool is_null(u64) { return false; }
	static constexpr bool writable(u64 w) { return w & (writeable | was_writeable); }
	static constexpr bool allows(u64 w, svm_access access) { return (w & readable) && (access == SVM_READ || (w & writeable)); }
	static constexpr u64 address(u64 w, unsigned) { return w & address_mask; }
	static constexpr svm_aperture aperture(u64) { return SVM_SYSTEM; }
	static constexpr u64 retire(u64 w) { return (w & address_mask) | gone | (w & writeable ? was_writeable : 0); }
	static constexpr u64 grant_write(u64 w, bool) { return w | writeable; }
	static constexpr u64 with_hint(u64 w, unsigned) { return w; }
	static constexpr u64 without_hint(u64 w) { return w; }
	static constexpr unsigned hint(u64) { return 0; }
	static void set_side(void *, unsigned, u64) {}
	static void clear_side(void *, unsigned) {}

private:
	static void put(void *entry, u64 w, int order) { __atomic_store_n(static_cast<u64 *>(entry), __builtin_bswap64(w), order); }
};

static_assert(format<mlx5_odp> && geometry<mlx5_odp>::table_lg2 == 21 && geometry<mlx5_odp>::bytes(2) == 8192);

} // namespace svm

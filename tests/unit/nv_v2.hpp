/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * NVIDIA's MMU v2 (Pascal to Ada) as far as it takes to show that the format concept holds for it: five levels,
 * a root of four entries, a dual PDE of 16 bytes above tables of 4 KiB pages, permissions that are said in the
 * negative. Layout from open-gpu-kernel-modules, vmmgp100.c of nouveau, and the golden words of their tests.
 *
 * Tables of 64 KiB pages hang in the other half of the dual PDE; link() leaves that half invalid. A format that
 * wants them maps a hinted group there, which is a second memory of the same node.
 */
#ifndef SVM_TESTS_UNIT_NV_V2_HPP
#define SVM_TESTS_UNIT_NV_V2_HPP

#include "mm/pt/page_table.hpp"

namespace svm_test
{

struct nv_v2 {
	static constexpr const char *name = "nv_v2";
	static constexpr unsigned va_bits = 49;
	static constexpr unsigned depth = 5;
	static constexpr svm::level levels[depth] = {
		{ 47, 2, 3, false, false }, { 38, 9, 3, false, false }, { 29, 9, 3, false, false }, { 21, 8, 4, true, true }, { 12, 9, 3, true, true },
	};
	static constexpr unsigned hint_lg2 = 0;
	static constexpr u64 empty = 0;

	static constexpr u64 valid_bit = 1, vol = 1 << 3, privilege = 1 << 5, read_only = 1 << 6, atomic_disable = 1 << 7;
	static constexpr u64 address_mask = ((1ull << 54) - 1) & ~0xffull;
	static constexpr u64 sparse = vol, retired_null = privilege | 1 << 4;
	static constexpr unsigned dual = 3;

	static constexpr u64 pte_aperture(svm_aperture where)
	{
		return where == SVM_VRAM ? 0 : 2 << 1;
	}
	static constexpr u64 pde_aperture(svm_aperture where)
	{
		return (where == SVM_VRAM ? 1 : 2) << 1;
	}

	static u64 load(const void *entry)
	{
		return __atomic_load_n(static_cast<const u64 *>(entry), __ATOMIC_RELAXED);
	}
	static void put(void *entry, unsigned word, u64 value)
	{
		__atomic_store_n(static_cast<u64 *>(entry) + word, value, __ATOMIC_RELEASE);
	}
	/* A leaf in the low half counts whatever the high half says, so it goes in first. */
	static void store(void *entry, unsigned lv, u64 word)
	{
		put(entry, 0, word);
		if (lv == dual)
			put(entry, 1, 0);
	}
	static void link(void *entry, unsigned lv, u64 addr, svm_aperture where)
	{
		put(entry, lv == dual ? 1 : 0, addr >> 4 | pde_aperture(where) | vol);
	}
	/* The low half of a dual PDE with a table is invalid, so it is no leaf either. */
	static constexpr svm::entry_state classify(u64 word, unsigned lv)
	{
		if ((word & valid_bit) || word == sparse)
			return svm::entry_state::valid;
		if (!word)
			return svm::entry_state::empty;
		return lv < dual ? svm::entry_state::link : svm::entry_state::retired;
	}

	static constexpr u64 leaf(unsigned, u64 addr, svm::leaf_attrs a)
	{
		return addr >> 4 | valid_bit | pte_aperture(a.aperture) | (a.write ? 0 : read_only) |
		       (a.write && a.atomic ? 0 : atomic_disable);
	}
	/* Not valid and volatile: sparse. */
	static constexpr u64 null_leaf(unsigned)
	{
		return sparse;
	}
	static constexpr bool is_null(u64 word)
	{
		return (word & (valid_bit | retired_null)) == retired_null || word == sparse;
	}
	static constexpr svm_aperture aperture(u64 word)
	{
		return word & 6 ? SVM_SYSTEM : SVM_VRAM;
	}
	static constexpr bool writable(u64 word)
	{
		return !(word & read_only);
	}
	static constexpr bool allows(u64 word, svm_access how)
	{
		u64 deny = (how == SVM_READ ? 0 : read_only) | (how == SVM_ATOMIC ? atomic_disable : 0);

		return word == sparse || ((word & valid_bit) && !(word & deny));
	}
	static constexpr u64 address(u64 word, unsigned)
	{
		return (word & address_mask) << 4;
	}
	/* The MMU looks at VOL of an invalid word (sparse) and at no other bit. PRIVILEGE tells a retired one from an empty one. */
	static constexpr u64 retire(u64 word)
	{
		return word == sparse ? retired_null : (word & ~(valid_bit | vol)) | privilege;
	}
	static constexpr u64 grant_write(u64 word)
	{
		return word & ~(read_only | atomic_disable);
	}
	static constexpr u64 with_hint(u64 word)
	{
		return word;
	}
	static constexpr u64 without_hint(u64 word)
	{
		return word;
	}
	static constexpr bool hinted(u64)
	{
		return false;
	}
};

static_assert(svm::format<nv_v2>);

} // namespace svm_test

#endif

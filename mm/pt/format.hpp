// SPDX-License-Identifier: GPL-2.0-only
// What a page-table format is: geometry and bit layout of one MMU generation, as a concept.
//
// A *leaf* is the 64-bit word that maps memory; it may sit in a last-level table or, where level::leaf says so, in
// an entry further up. An *entry* is the raw memory of one slot, 2^entry_lg2 bytes: 8 on most, 16 for NVIDIA's dual
// PDE (its leaf is the low quadword; link() fills the half of the child's page size and leaves the other invalid),
// big-endian on mlx5. So only the format touches an entry, through load(), store() and link().
//
// A leaf is in one of three states:
//	empty    maps nothing, holds nothing: the word F::empty() (AMD sets bits even there)
//	valid    the device may use it
//	retired  the device may not, but may still have it in its TLB: address and write permission are kept in
//	         the word until the flush was acknowledged and the page given back. No list of zapped pages is needed,
//	         and a retired leaf says that a flush is owed.
// A *hint* lets the TLB take an aligned group of a table's leaves as one: they lie one behind the other and allow the same. It is
// a part of each leaf (Xe2: a bit; AMD: the size of the group, any power of two), or an entry of a side table (NVIDIA: a table of
// 64 KiB pages, which lies behind that of 4 KiB pages in the same memory). The leaves say all that there is to know without it.
//
// A *null* leaf is a leaf that leads to no memory: reads give zero and writes vanish. It has the same states.
// classify() tells them apart, and from a link. laws() is what the core takes for granted of the words; it is checked when a
// format is compiled.
#pragma once

#include <concepts>

#include "mm/port.h"
#include "svm/svm.h"

namespace svm {

constexpr u64 bit(unsigned n)
{
	return 1ull << n;
}

struct level {
	u8 shift;	// log2 of the bytes of VA that one entry spans
	u8 index_bits;	// log2 of the entries of one table
	u8 entry_lg2;	// log2 of the bytes of one entry
	bool leaf;	// an entry of this level may map memory
	bool null;	// an entry of this level may be a null leaf
};

// How the device caches what a leaf leads to.
enum class cache_policy : u8 {
	coherent,	// cached, and the CPU's caches are snooped
	noncoherent,	// cached, and the CPU's caches are not snooped: memory that the CPU maps write-combining, or does not map
	uncached,
};

struct leaf_attrs {
	bool write;
	bool atomic; // means nothing without write
	svm_aperture aperture;
	cache_policy cache = cache_policy::coherent;
	bool null = false; // reads zero and drops writes: no address, no page to give back, and all accesses are allowed
};

// What the leaf word of an entry is.
enum class entry_state : u8 { empty, link, valid, retired };

template <typename F>
concept format = requires(u64 leaf, u64 addr, leaf_attrs attrs, void *entry, const void *centry, unsigned lv,
			  svm_access access, svm_aperture where, bool atomic) {
	{ F::name } -> std::convertible_to<const char *>;
	// Root first, table level last. Their index bits and the last shift add up to va_bits.
	{ F::levels[0] } -> std::convertible_to<level>;
	{ F::depth } -> std::convertible_to<unsigned>;
	{ F::va_bits } -> std::convertible_to<unsigned>;
	// Bit n: 2^n leaves of a table may have a hint. Bit 0 is clear.
	{ F::hints } -> std::convertible_to<u32>;
	// Bytes of the side table, with an entry for each group of the one size in F::hints; 0: leaves carry their hints.
	{ F::side_bytes } -> std::convertible_to<u32>;
	// Can a writable leaf forbid atomics? Where it cannot, attrs.atomic means nothing.
	{ F::denies_atomics } -> std::convertible_to<bool>;
	{ F::vram } -> std::convertible_to<bool>;	// can a leaf lead to the device's own memory?
	{ F::empty(lv) } -> std::same_as<u64>;

	{ F::load(centry) } -> std::same_as<u64>;	// the entry's leaf word: one load, also when racing with store()
	{ F::store(entry, lv, leaf) };			// the entry of level lv holds this leaf word and no link; the device
							// sees old or new, never a mixture that maps
	{ F::link(entry, lv, addr, where) };		// entry of level lv leads to the table at addr

	{ F::leaf(lv, addr, attrs) } -> std::same_as<u64>; // linear in addr; attrs.null is false: null_leaf() makes those
	{ F::null_leaf(lv) } -> std::same_as<u64>;	// where levels[lv].null
	{ F::is_null(leaf) } -> std::same_as<bool>;	// of a valid or retired leaf
	{ F::classify(leaf, lv) } -> std::same_as<entry_state>; // of an entry of level lv; link: above the tables only
	{ F::writable(leaf) } -> std::same_as<bool>;	// of a valid or retired leaf
	{ F::allows(leaf, access) } -> std::same_as<bool>;
	{ F::address(leaf, lv) } -> std::same_as<u64>;	// of a valid or retired leaf that is not null, like the next
	{ F::aperture(leaf) } -> std::same_as<svm_aperture>;
	{ F::retire(leaf) } -> std::same_as<u64>;
	{ F::grant_write(leaf, atomic) } -> std::same_as<u64>; // atomic: atomics too
	{ F::with_hint(leaf, lv) } -> std::same_as<u64>; // of 2^lv leaves; the leaf had none
	{ F::without_hint(leaf) } -> std::same_as<u64>;
	{ F::hint(leaf) } -> std::same_as<unsigned>;	// log2 of the leaves that its hint speaks for; 0: it has none
	{ F::set_side(entry, lv, leaf) };		// where side_bytes: group lv of the table at `entry` maps what this
							// first leaf of it begins
	{ F::clear_side(entry, lv) };			// the leaves of group lv count
};

constexpr unsigned max_entries = 512; // of a last-level table: a fault keeps a bit for each on its stack

// What every format implies, worked out once.
template <format F>
struct geometry {
	static constexpr unsigned table_level = F::depth - 1;
	static constexpr unsigned directories = F::depth - 1;
	static constexpr unsigned entries = 1u << F::levels[table_level].index_bits;
	static constexpr unsigned table_lg2 = F::levels[table_level].shift + F::levels[table_level].index_bits;
	static constexpr unsigned page_lg2 = F::levels[table_level].shift;
	static constexpr unsigned hint_max = F::hints ? 31 - static_cast<unsigned>(__builtin_clz(F::hints | 1)) : 0;
	static constexpr bool one_hint = (F::hints & (F::hints - 1)) == 0; // or none
	static constexpr u32 table_bytes = (1u << (F::levels[table_level].index_bits + F::levels[table_level].entry_lg2)) + F::side_bytes;
	// From a page's leaf to that of the next page, all else alike.
	static constexpr u64 next_page = F::leaf(table_level, PORT_PAGE_SIZE, {}) - F::leaf(table_level, 0, {});

	static constexpr u32 bytes(unsigned lv)
	{
		return lv == table_level ? table_bytes : 1u << (F::levels[lv].index_bits + F::levels[lv].entry_lg2);
	}

	static constexpr u32 index(unsigned lv, u64 va)
	{
		return static_cast<u32>(va >> F::levels[lv].shift) & ((1u << F::levels[lv].index_bits) - 1);
	}

	static constexpr bool sound()
	{
		for (unsigned lv = 0; lv + 1 < F::depth; lv++) {
			if (F::levels[lv].shift != F::levels[lv + 1].shift + F::levels[lv + 1].index_bits)
				return false;
		}
		return F::levels[0].shift + F::levels[0].index_bits == F::va_bits && page_lg2 == PORT_PAGE_LG2 &&
		       F::levels[table_level].leaf;
	}
	static_assert(entries <= max_entries && entries >> hint_max && !(F::hints & 1));
	static_assert(!F::side_bytes || one_hint, "a side table has one size of pages");
	static_assert(sound(), "levels must tile the address space, and a table's entries are pages");
};

// The laws of one leaf of level lv at addr: what it says, and that it says so still when it is retired.
template <format F>
constexpr bool laws_of_leaf(unsigned lv, u64 addr, leaf_attrs a)
{
	u64 leaf = F::leaf(lv, addr, a), gone = F::retire(leaf), more = F::grant_write(leaf, true), written = F::grant_write(leaf, false);
	bool atomic = a.write && (a.atomic || !F::denies_atomics);

	if (F::classify(leaf, lv) != entry_state::valid || F::address(leaf, lv) != addr || F::writable(leaf) != a.write)
		return false;
	if (lv + 1 == F::depth && F::leaf(lv, addr + PORT_PAGE_SIZE, a) - leaf != geometry<F>::next_page)
		return false;
	if (!F::allows(leaf, SVM_READ) || F::allows(leaf, SVM_WRITE) != a.write || F::allows(leaf, SVM_ATOMIC) != atomic)
		return false;
	if (F::classify(more, lv) != entry_state::valid || F::address(more, lv) != addr || !F::allows(more, SVM_ATOMIC))
		return false;
	if (F::classify(written, lv) != entry_state::valid || F::address(written, lv) != addr || !F::allows(written, SVM_WRITE) ||
	    F::allows(written, SVM_ATOMIC) != (atomic || !F::denies_atomics))
		return false;
	// Also at address 0, where a format that keeps no other bit could not tell the word from an empty one.
	if (F::classify(gone, lv) != entry_state::retired || F::address(gone, lv) != addr || F::writable(gone) != a.write)
		return false;
	if (F::allows(gone, SVM_READ) || F::allows(gone, SVM_WRITE) || F::allows(gone, SVM_ATOMIC))
		return false;
	// A page that the core took for null would never be given back.
	return !F::is_null(leaf) && !F::is_null(gone) && F::aperture(leaf) == a.aperture && F::aperture(gone) == a.aperture;
}

// A null leaf allows everything, so that no fault comes back to it, and is known for one as long as it is not empty.
template <format F>
constexpr bool laws_of_null(unsigned lv)
{
	u64 leaf = F::null_leaf(lv), gone = F::retire(leaf);

	return F::classify(leaf, lv) == entry_state::valid && F::is_null(leaf) && F::writable(leaf) &&
	       F::allows(leaf, SVM_READ) && F::allows(leaf, SVM_WRITE) && F::allows(leaf, SVM_ATOMIC) &&
	       F::classify(gone, lv) == entry_state::retired && F::is_null(gone) &&
	       !F::allows(gone, SVM_READ) && !F::allows(gone, SVM_WRITE) && !F::allows(gone, SVM_ATOMIC);
}

// A hint comes and goes without a trace, and does not outlive its leaf.
template <format F>
constexpr bool laws_of_hint(unsigned lv, u64 addr, leaf_attrs a)
{
	u64 leaf = F::leaf(lv, addr, a);

	for (unsigned n = 1; !F::side_bytes && F::hints >> n; n++) {
		u64 hint = F::with_hint(leaf, n);

		if (!(F::hints >> n & 1))
			continue;
		if (F::hint(hint) != n || F::hint(leaf) || F::without_hint(hint) != leaf || F::retire(hint) != F::retire(leaf))
			return false;
		if (F::classify(hint, lv) != entry_state::valid || F::address(hint, lv) != addr || F::writable(hint) != a.write)
			return false;
	}
	return true;
}

template <format F>
constexpr bool laws()
{
	constexpr u64 addresses[] = { 0, bit(30), bit(39) | bit(31), bit(45) - bit(30) };
	constexpr svm_aperture apertures[] = { SVM_SYSTEM, SVM_VRAM };
	constexpr cache_policy policies[] = { cache_policy::coherent, cache_policy::noncoherent, cache_policy::uncached };

	for (unsigned lv = 0; lv < F::depth; lv++) {
		if (F::classify(F::empty(lv), lv) != entry_state::empty || F::allows(F::empty(lv), SVM_READ))
			return false;
		if (F::levels[lv].null && !laws_of_null<F>(lv))
			return false;
		for (unsigned n = 0; F::levels[lv].leaf && n < 3 * 64; n++) {
			leaf_attrs a{ bool(n & 1), bool(n & 2), apertures[n >> 2 & 1], policies[n / 64] };
			u64 addr = addresses[n >> 3 & 3];

			if (a.aperture == SVM_VRAM && !F::vram)
				continue;
			// The lowest address bit that a leaf of this level has, too.
			if (n & 32)
				addr |= bit(F::levels[lv].shift);
			if (!laws_of_leaf<F>(lv, addr, a) || (lv + 1 == F::depth && !laws_of_hint<F>(lv, addr, a)))
				return false;
		}
	}
	return true;
}

} // namespace svm

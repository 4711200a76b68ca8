// SPDX-License-Identifier: GPL-2.0-only
/* svm_sample_make(): a device of the format finds the page, and none of another format takes it for that page. */
#include "mm/fmt/formats.hpp"
#include "mm/pt/page_table.hpp"
#include "tools/svgpud/mmu/mmu.h"

#include <cerrno>
#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <vector>

namespace svm_test
{

/* Table memory of one aperture, as much of it as is allowed. */
struct sample_memory {
	static constexpr u64 apart = 0x10000;

	std::map<u64, std::vector<u64>> tables;
	u64 next = 0x100000;
	unsigned allowed = ~0u;
	u32 aperture = SVM_SYSTEM;
	bool left = false; /* a walk left the tables */

	static int alloc(void *self, u32 bytes, svm_table_mem *mem)
	{
		auto &m = *static_cast<sample_memory *>(self);

		if (!m.allowed)
			return -ENOSPC;
		m.allowed--;
		m.next += apart;

		std::vector<u64> &words = m.tables[m.next];

		words.assign((bytes + 7) / 8, 0);
		*mem = {words.data(), m.next, nullptr, m.aperture, bytes};
		return 0;
	}

	static void free(void *self, const svm_table_mem *mem)
	{
		EXPECT_EQ(static_cast<sample_memory *>(self)->tables.erase(mem->addr), 1u);
	}

	static u64 read(void *self, u64 addr, u32 aperture)
	{
		auto &m = *static_cast<sample_memory *>(self);
		auto found = m.tables.find(addr / apart * apart);
		u64 i = addr % apart / 8;

		if (aperture == m.aperture && found != m.tables.end() && i < found->second.size())
			return found->second[i];
		m.left = true;
		return 0;
	}
};

static const svm_backend_ops sample_ops = {
	.table_alloc = sample_memory::alloc,
	.table_free = sample_memory::free,
	.flush_begin = nullptr,
	.flush_wait = nullptr,
	.publish = nullptr,
	.lost = nullptr,
	.gone = nullptr,
	.stop = nullptr,
	.resume = nullptr,
	.delay = nullptr,
};

static constexpr u64 va = 0x5a35'9c6a'7000, page_addr = 0x3c5a'6000;

class sample_test : public ::testing::TestWithParam<const svm_format *>
{
protected:
	mmu_translation walk(const char *format, const svm_sample &s)
	{
		mmu_memory memory = {sample_memory::read, &m, nullptr};
		mmu_translation found{};

		m.left = false;
		mmu_find(format)->walk(&memory, s.tables[0].addr, s.tables[0].aperture, va, &found);
		return found;
	}

	sample_memory m;
	svm_sample s{};
};

TEST_P(sample_test, its_device_finds_the_page_and_no_other_does)
{
	for (u32 aperture : {SVM_SYSTEM, SVM_VRAM}) {
		m.aperture = aperture;
		ASSERT_EQ(svm_sample_make(GetParam(), &sample_ops, &m, va, page_addr, &s), 0);
		ASSERT_EQ(s.count, GetParam()->depth);
		for (const svm_format *other : svm::formats::all) {
			mmu_translation found = walk(other->info.name, s);
			bool there = found.what == MMU_MAPPED && !m.left && found.write && !found.null && found.aperture == MMU_SYSTEM &&
				     found.address + (va & ((1ull << found.lg2) - 1)) == page_addr;

			EXPECT_EQ(there, other == GetParam()) << other->info.name;
		}
		svm_sample_free(&sample_ops, &m, &s);
		EXPECT_TRUE(m.tables.empty());
	}
}

/* What a device keeps of its walks: the entries that led on. */
struct keeper {
	sample_memory *m;
	u64 words[16] = {};
	u32 lg2[16] = {};
	u32 known = 0;
	u32 n = 0;

	static bool kept(void *self, u32 n, u32 lg2, u64 *word)
	{
		auto &k = *static_cast<keeper *>(self);

		k.n = n;
		k.lg2[n] = lg2;
		*word = k.words[n];
		return k.known >> n & 1;
	}

	static u64 read(void *self, u64 addr, u32 aperture)
	{
		auto &k = *static_cast<keeper *>(self);

		return k.words[k.n] = sample_memory::read(k.m, addr, aperture);
	}
};

TEST_P(sample_test, what_led_on_is_enough_to_reach_the_last_table)
{
	keeper k{&m};
	mmu_memory memory = {keeper::read, &k, keeper::kept};
	mmu_translation first{}, again{};

	ASSERT_EQ(svm_sample_make(GetParam(), &sample_ops, &m, va, page_addr, &s), 0);
	mmu_find(GetParam()->info.name)->walk(&memory, s.tables[0].addr, s.tables[0].aperture, va, &first);
	ASSERT_EQ(first.what, MMU_MAPPED);
	ASSERT_NE(first.links, 0u);
	for (u32 n = 0, last = GetParam()->info.va_bits; n < first.entries; n++) {
		EXPECT_LE(k.lg2[n], last) << "entries stand for less and less";
		last = k.lg2[n];
		if (first.links >> n & 1) {
			EXPECT_GE(last, GetParam()->info.table_lg2);
		}
	}
	/* All tables but the last are gone, as if the driver had forgotten to flush. */
	for (u32 i = 0; i + 1 < s.count; i++)
		memset(s.tables[i].cpu, 0xdb, s.tables[i].bytes);
	k.known = first.links;
	m.left = false;
	mmu_find(GetParam()->info.name)->walk(&memory, s.tables[0].addr, s.tables[0].aperture, va, &again);
	EXPECT_EQ(again.what, MMU_MAPPED) << again.wrong;
	EXPECT_EQ(again.address, first.address);
	EXPECT_FALSE(m.left);
	svm_sample_free(&sample_ops, &m, &s);
}

TEST_P(sample_test, each_allocation_fails_once)
{
	for (unsigned allowed = 0; allowed < GetParam()->depth; allowed++) {
		m.allowed = allowed;
		EXPECT_EQ(svm_sample_make(GetParam(), &sample_ops, &m, va, page_addr, &s), -ENOSPC);
		EXPECT_EQ(s.count, 0u);
		EXPECT_TRUE(m.tables.empty()) << "what was got is given back";
	}
}

INSTANTIATE_TEST_SUITE_P(formats, sample_test, ::testing::ValuesIn(svm::formats::all),
			 [](const auto &info) { return std::string(info.param->info.name); });

} // namespace svm_test

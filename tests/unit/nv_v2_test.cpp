// SPDX-License-Identifier: GPL-2.0-only
/* The format concept and the core that is built on it, with a format as unlike Xe2 as vendors have. */
#include "tests/unit/machine.hpp"
#include "tests/unit/nv_v2.hpp"

#include <cstdlib>
#include <set>

namespace svm_test
{

/* Tables where the CPU has them; their address is the pointer. Its walker reads 16-byte entries as the device does. */
struct nv_device {
	std::mutex lock;
	std::set<void *> tables;
	u64 flushes = 0;

	static int alloc(void *self, u32 bytes, svm_table_mem *mem)
	{
		auto *d = static_cast<nv_device *>(self);
		u32 size = bytes < 4096 ? 4096 : bytes;

		*mem = { .cpu = std::aligned_alloc(4096, size), .addr = 0, .priv = nullptr, .aperture = SVM_SYSTEM, .bytes = bytes };
		memset(mem->cpu, 0, size);
		mem->addr = reinterpret_cast<u64>(mem->cpu);
		std::lock_guard g(d->lock);
		d->tables.insert(mem->cpu);
		return 0;
	}
	static void free(void *self, const svm_table_mem *mem)
	{
		auto *d = static_cast<nv_device *>(self);
		std::lock_guard g(d->lock);

		EXPECT_EQ(d->tables.erase(mem->cpu), 1u);
		std::free(mem->cpu);
	}
	static u64 flush_begin(void *self, u64, u64)
	{
		return ++static_cast<nv_device *>(self)->flushes;
	}
	static void flush_wait(void *, u64, bool)
	{
	}
	static constexpr svm_backend_ops ops = { alloc, free, flush_begin, flush_wait, nullptr, nullptr, nullptr };

	static const u64 *next(u64 pde)
	{
		return (pde >> 1 & 3) == 2 ? reinterpret_cast<const u64 *>((pde & nv_v2::address_mask) << 4) : nullptr;
	}
	/* The leaf that maps va, 0 where none does; *size: what it maps. */
	static u64 walk(const svm_table_mem &root, u64 va, u64 *size)
	{
		auto *t = reinterpret_cast<const u64 *>(root.addr);

		for (unsigned shift : { 47u, 38u, 29u }) {
			t = next(t[va >> shift & (shift == 47 ? 3 : 511)]);
			if (!t)
				return 0;
		}
		const u64 *pair = t + 2 * (va >> 21 & 255);
		*size = 2 * MiB;
		if (pair[0] & 1)
			return pair[0];
		EXPECT_EQ(pair[0] & 6, 0u) << "no table of 64 KiB pages was ever made";
		t = next(pair[1]);
		*size = PAGE;
		return t ? t[va >> 12 & 511] : 0;
	}
};

class nv_test : public machine {
    protected:
	void SetUp() override
	{
		svm_vm_params p = {
			.ops = &nv_device::ops,
			.backend = &nv,
			.format = &svm::format_ops<nv_v2>,
			.mm = proc.get(),
			.dma_device = &dev,
			.interval_lg2 = 0,
			.granule_lg2 = 0,
		};
		ASSERT_EQ(svm_vm_create(&p, &vm), 0);
		ASSERT_EQ(svm_bind_all(vm), 0);
	}

	void TearDown() override
	{
		machine::TearDown();
		EXPECT_TRUE(nv.tables.empty());
	}

	u64 leaf(u64 va)
	{
		u64 word = nv_device::walk(*svm_vm_root(vm), va, &size);

		return word & 1 ? word : 0;
	}

	nv_device nv;
	u64 size = 0;
};

TEST(nv_v2_words, golden)
{
	u64 pair[2] = {};

	EXPECT_EQ(nv_v2::leaf(4, 0x399999999999000, { true, true, SVM_SYSTEM }), 0x39999999999905u);
	EXPECT_EQ(nv_v2::leaf(4, 0x399999999999000, { true, false, SVM_SYSTEM }), 0x39999999999985u);
	EXPECT_EQ(nv_v2::leaf(4, 0x399999999999000, { false, false, SVM_SYSTEM }), 0x399999999999C5u);
	EXPECT_EQ(nv_v2::leaf(4, 0x1BBBBBB000, { false, false, SVM_VRAM }), 0x1BBBBBBC1u);
	nv_v2::link(pair, 1, 0x399999999999000, SVM_SYSTEM);
	EXPECT_EQ(pair[0], 0x3999999999990Cu);
	nv_v2::store(pair, 1, 0);
	nv_v2::link(pair, nv_v2::dual, 0x1BBBBBB000, SVM_VRAM);
	EXPECT_EQ(pair[0], 0u);
	EXPECT_EQ(pair[1], 0x1BBBBBB0Au);
	nv_v2::store(pair, nv_v2::dual, nv_v2::leaf(3, 0x200000, { true, true, SVM_SYSTEM }));
	EXPECT_EQ(pair[1], 0u) << "a leaf leaves no table beside it";
}

TEST_F(nv_test, pages_through_the_dual_pde)
{
	map(BASE, 1 * MiB);
	touch(BASE, 128 * KiB);
	ASSERT_EQ(fault(BASE + 5 * PAGE), 0);
	for (u64 i = 0; i < 32; i++)
		EXPECT_TRUE(nv_v2::allows(leaf(BASE + i * PAGE), SVM_WRITE)) << i;
	EXPECT_EQ(size, PAGE);
	ASSERT_EQ(proc->dontneed(BASE + PAGE, BASE + 2 * PAGE), 0);
	EXPECT_EQ(leaf(BASE + PAGE), 0u);
	EXPECT_NE(leaf(BASE), 0u);
	EXPECT_NE(leaf(BASE + 2 * PAGE), 0u);
	EXPECT_EQ(count().ptes_zapped, 1u);
}

TEST_F(nv_test, block_to_pages_and_back)
{
	map(BASE, 2 * MiB, PROT_RW, true);
	touch(BASE, PAGE);
	ASSERT_EQ(fault(BASE + MiB, SVM_WRITE), 0);
	EXPECT_TRUE(nv_v2::writable(leaf(BASE)));
	EXPECT_EQ(size, 2 * MiB);
	ASSERT_EQ(proc->dontneed(BASE, BASE + PAGE), 0); /* splits it */
	EXPECT_EQ(leaf(BASE), 0u);
	ASSERT_EQ(fault(BASE + MiB, SVM_WRITE), 0);
	EXPECT_NE(leaf(BASE + MiB), 0u);
	EXPECT_EQ(size, PAGE);
	touch(BASE, PAGE);
	proc->collapse(BASE);
	EXPECT_EQ(leaf(BASE + MiB), 0u);
	ASSERT_EQ(fault(BASE + MiB), 0);
	EXPECT_NE(leaf(BASE), 0u);
	EXPECT_EQ(size, 2 * MiB);
	EXPECT_EQ(count().huge_leaves, 2u);
}

} // namespace svm_test

/* SPDX-License-Identifier: GPL-2.0-only */
/* A bare page table of one format, without a vm, windows or faults: for tests of mm/pt. */
#ifndef SVM_TESTS_UNIT_TREE_HPP
#define SVM_TESTS_UNIT_TREE_HPP

#include "mm/pt/gather.hpp"
#include "mm/pt/page_table.hpp"
#include "tests/unit/all_formats.hpp"
#include "tests/unit/machine.hpp"

#include <random>

namespace svm_test
{

template <typename F>
class tree_machine : public machine
{
protected:
	using walk = svm::walk<F>;
	using leaves = svm::leaves<F>;
	using geometry = svm::geometry<F>;

	static constexpr const svm_format &ops = svm::format_ops<F>;
	static constexpr u64 va_end = 1ull << F::va_bits;
	static constexpr u64 span = 1ull << geometry::table_lg2;

	void SetUp() override
	{
		SetUp_on(backend::ops, gpus.get());
	}

	/* With table memory of another backend before the device. */
	void SetUp_on(const svm_backend_ops &of, void *backend)
	{
		pt.format = &ops;
		pt.ops = &of;
		pt.backend = backend;
		pt.domain = port_domain_create(&pt, proc.get(), &dev, nullptr);
		pt.root = walk::make_root(pt).value();
		ASSERT_NE(pt.root, nullptr);
	}

	void TearDown() override
	{
		TearDown_tables([] {});
	}

	/* Takes everything apart; pages() puts the test's own frames in between. */
	template <typename Fn>
	void TearDown_tables(Fn pages)
	{
		walk::visit(pt, {0, va_end}, take_out, this);
		port_domain_destroy(pt.domain);
		walk::free_directory(pt, pt.root);
		pages();
		machine::TearDown();
	}

	svm::table &table_at(u64 va)
	{
		svm::table *t = walk::make_table(pt, va).value();

		EXPECT_NE(t, nullptr);
		return *t;
	}

	/* Device memory for small leaves. */
	void equip(svm::table &t)
	{
		svm_table_mem mem{};

		ASSERT_EQ(pt.ops->table_alloc(pt.backend, ops.table_bytes, &mem), 0);

		svm::table_guard lock(t.lock);

		pt.stat.add(svm::stat::device_bytes, mem.bytes);
		ASSERT_TRUE(leaves::give_memory(t, mem));
	}

	/* What the device's own walk finds. */
	mmu_translation look(u64 va)
	{
		auto read = [](void *self, u64 addr, u32 where) { return static_cast<backend *>(self)->read(addr, where == MMU_VRAM); };
		mmu_memory memory = {read, gpus.get(), nullptr};
		mmu_translation t{};

		mmu_find(F::name)->walk(&memory, pt.root->mem.addr, pt.root->mem.aperture, va, &t);
		EXPECT_NE(t.what, MMU_MALFORMED) << t.wrong;
		return t;
	}

	svm_counters counted() const
	{
		svm_counters c;

		pt.stat.read(c);
		return c;
	}

	/* Unmaps the table, and frees it after a grace period. */
	static bool take_out(svm::table &t, svm::va_span part, void *self)
	{
		auto *m = static_cast<tree_machine *>(self);
		{
			svm::gather g(m->pt, true);
			{
				svm::table_guard lock(t.lock);

				g.retire(t, part);
				leaves::unlink(m->pt, t);
				g.owe(t, part, part);
			}
			g.finish();
		}
		{
			svm::table_guard lock(t.lock);

			walk::unpublish(m->pt, t);
		}
		svm::defer(m->pt.domain, t);
		return true;
	}

	svm::page_table pt;
};

} // namespace svm_test

#endif

// SPDX-License-Identifier: GPL-2.0-only
/* mm/pt/walk.hpp, on every format: a map from numbers of tables to tables is the model. */
#include "tests/unit/tree.hpp"
#include "tests/unit/seeded.hpp"

#include <map>

namespace svm_test
{

template <typename F>
class walk_test : public tree_machine<F>
{
};
TYPED_TEST_SUITE(walk_test, all_formats, format_names);

TYPED_TEST(walk_test, against_a_map)
{
	using M = TestFixture;
	using walk = typename M::walk;
	seeded r(5);
	std::map<u64, svm::table *> model;

	for (int step = 0; step < 1000; step++) {
		/* Near each other and far apart, the edges among them. */
		u64 va = r() % M::va_end;

		switch (r() % 4) {
		case 0:
			va %= 64 * M::span;
			break;
		case 1:
			va = M::va_end - 1 - va % (8 * M::span);
			break;
		case 2:
			va = (va >> (M::geometry::table_lg2 + 7)) << (M::geometry::table_lg2 + 7);
			break;
		}

		u64 n = va / M::span;
		svm::table *found = walk::find(this->pt, va);

		ASSERT_EQ(found, model.count(n) ? model[n] : nullptr);
		if (step % 3)
			continue;

		svm::table *made = walk::make_table(this->pt, va).value();

		ASSERT_NE(made, nullptr);
		if (found) {
			ASSERT_EQ(made, found);
		}
		model[n] = made;
		ASSERT_EQ(walk::start_of(*made), n * M::span);
	}
	EXPECT_EQ(this->counted().tables, model.size());
	EXPECT_EQ(this->pt.idle.load_relaxed(), model.size());
	EXPECT_EQ(this->counted().device_bytes, this->gpus->bytes);

	/* visit(): each table that a span meets, in order, with the part that it meets. */
	for (int round = 0; round < 200; round++) {
		u64 a = r() % M::va_end, b = r() % M::va_end;

		if (r() % 2)
			b = std::min(a + r() % (20 * M::span), M::va_end);

		svm::va_span s{std::min(a, b), std::max(a, b)};
		std::vector<svm::table *> seen;
		struct context {
			std::vector<svm::table *> &seen;
			svm::va_span s;
		} c{seen, s};

		walk::visit(
			this->pt, s,
			[](svm::table &t, svm::va_span part, void *arg) {
				auto *c = static_cast<context *>(arg);
				u64 start = walk::start_of(t);

				EXPECT_EQ(part, (svm::va_span{start, start + M::span}.common(c->s)));
				EXPECT_FALSE(part.empty());
				c->seen.push_back(&t);
				return true;
			},
			&c);

		std::vector<svm::table *> expect;

		for (auto [n, t] : model)
			if (!s.empty() && n * M::span < s.end && (n + 1) * M::span > s.start)
				expect.push_back(t);
		ASSERT_EQ(seen, expect);
	}
}

TYPED_TEST(walk_test, visit_stops_when_told)
{
	using M = TestFixture;
	unsigned calls = 0;

	for (u64 i = 0; i < 5; i++)
		this->table_at(i * M::span);
	M::walk::visit(
		this->pt, {0, M::va_end},
		[](svm::table &, svm::va_span, void *arg) { return ++*static_cast<unsigned *>(arg) < 3; }, &calls);
	EXPECT_EQ(calls, 3u);
}

/* Many threads make the same tables: one of each comes out, and every thread gets that one. */
TYPED_TEST(walk_test, race_to_make)
{
	using M = TestFixture;
	constexpr unsigned tables = 40, threads = 4;
	svm::table *got[threads][tables] = {};
	std::vector<std::thread> all;
	std::atomic<unsigned> ready{0};

	for (unsigned t = 0; t < threads; t++)
		all.emplace_back([&, t] {
			ready++;
			while (ready < threads)
				std::this_thread::yield();
			for (unsigned i = 0; i < tables; i++) {
				/* Spread, so that directories are raced for as well. */
				u64 va = M::va_end / tables * i / M::span * M::span;

				got[t][i] = M::walk::make_table(this->pt, va).value();
				EXPECT_EQ(M::walk::find(this->pt, va), got[t][i]);
			}
		});
	for (auto &t : all)
		t.join();
	for (unsigned i = 0; i < tables; i++)
		for (unsigned t = 1; t < threads; t++)
			EXPECT_EQ(got[t][i], got[0][i]);
	EXPECT_EQ(this->counted().tables, tables);
	EXPECT_EQ(this->counted().tables_made, tables);
	EXPECT_EQ(this->gpus->tables, this->counted().directories);
}

TYPED_TEST(walk_test, each_allocation_fails_once)
{
	using M = TestFixture;

	for (u64 n = 1;; n++) {
		u64 va = n * (M::va_end / 64);

		inject.arm(n);
		auto made = M::walk::make_table(this->pt, va);

		if (inject.armed()) {
			inject.arm(0);
			EXPECT_TRUE(made.ok());
			break;
		}
		EXPECT_TRUE(made.error() == -ENOMEM || made.error() == int(svm::err::room)) << made.error();
		EXPECT_EQ(M::walk::find(this->pt, va), nullptr);
		ASSERT_TRUE(M::walk::make_table(this->pt, va).ok());
	}
}

TYPED_TEST(walk_test, unpublished_tables_are_not_found)
{
	using M = TestFixture;
	svm::table &t = this->table_at(3 * M::span);
	{
		svm::reader section(this->pt.domain); /* it is not freed under us */

		M::take_out(t, {3 * M::span, 4 * M::span}, this);
		EXPECT_EQ(M::walk::find(this->pt, 3 * M::span), nullptr);
		EXPECT_EQ(t.state.load_acquire(), svm::table_state::dead);
		/* Nothing is idle but the directory that held it. */
		EXPECT_EQ(this->pt.freeable(), 1u);
		EXPECT_NE(M::walk::make_table(this->pt, 3 * M::span).value(), &t);
	}
	EXPECT_TRUE(eventually([&] { return this->counted().tables_freed == 1; }));
	EXPECT_EQ(this->counted().tables, 1u);
}

} // namespace svm_test

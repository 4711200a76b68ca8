// SPDX-License-Identifier: GPL-2.0-only
/* mm/bind/span_map.hpp: random changes against an array, changes that fail, readers beside a writer, and the depth. */
#include "mm/vm.hpp"
#include "tests/unit/machine.hpp"
#include "tests/unit/seeded.hpp"

#include <memory>
#include <thread>

namespace svm_test
{

class span_map_test : public machine
{
protected:
	static constexpr unsigned pages = 400;

	/* What is bound to page n of the space; 0: nothing. */
	using model = std::array<u64, pages>;

	static void *thing(u64 n)
	{
		return reinterpret_cast<void *>(n);
	}

	static svm::va_span pages_of(unsigned first, unsigned last)
	{
		return {first * PAGE, last * PAGE};
	}

	template <typename Map>
	static void expect(const Map &map, const model &m)
	{
		unsigned n = 0;

		for (svm::span_map::piece p = map.next(0); p; p = map.next(p.span.end)) {
			for (; n * PAGE < p.span.start; n++)
				ASSERT_EQ(m.at(n), 0u) << n;
			for (; n * PAGE < p.span.end; n++)
				ASSERT_EQ(thing(m.at(n)), p.of) << n;
		}
		for (; n < pages; n++)
			ASSERT_EQ(m.at(n), 0u) << n;
	}

	void TearDown() override
	{
		owned.reset();
		machine::TearDown();
	}

	std::unique_ptr<svm::span_map> owned = std::make_unique<svm::span_map>();
	svm::span_map &map = *owned;
};

TEST_F(span_map_test, random_against_an_array)
{
	seeded r(31);
	model m{};
	unsigned cuts = 0;

	for (int round = 0; round < 3000; round++) {
		svm::span_map::change c(map);
		model next = m;

		for (u64 n = 1 + r() % 4; n--;) {
			unsigned first = unsigned(r() % (pages - 1)), last = unsigned(first + 1 + r() % std::min(40u, pages - first));
			u64 of = r() % 3 ? 1 + r() % 1000 : 0;

			last = std::min(last, pages);
			cuts += first && next[first - 1] && next[first - 1] == next[first];
			ASSERT_TRUE(c.replace(pages_of(first, last), thing(of)).ok());
			std::fill(next.begin() + first, next.begin() + last, of);
			expect(c, next);
		}
		expect(map, m); /* nothing shows before it is committed */
		if (r() % 4) {
			c.commit(vm->domain());
			m = next;
		}
		expect(map, m);
		for (unsigned n = 0; n < pages; n += 7)
			ASSERT_EQ(map.at(n * PAGE + 5).of, thing(m[n])) << n;
		if (HasFatalFailure())
			return;
	}
	EXPECT_GT(cuts, 500u);
}

/* Each allocation of a change fails once: it and the map are as they were, and it can go on. */
TEST_F(span_map_test, allocations_fail)
{
	model m{};

	for (unsigned i = 0; i < 40; i++) {
		svm::span_map::change c(map);

		ASSERT_TRUE(c.replace(pages_of(i * 10, i * 10 + 8), thing(i + 1)).ok());
		std::fill(m.begin() + i * 10, m.begin() + i * 10 + 8, i + 1);
		c.commit(vm->domain());
	}

	unsigned failed = 0;

	for (unsigned nth = 1;; nth++) {
		svm::span_map::change c(map);

		inject.arm(nth);
		bool ok = c.replace(pages_of(95, 333), thing(99)).ok();
		inject.arm(0);
		if (ok)
			break;
		failed++;
		expect(c, m);
		expect(map, m);
		ASSERT_TRUE(c.replace(pages_of(5, 6), nullptr).ok()); /* the rest of the change is not lost */
	}
	EXPECT_GT(failed, 3u);
	expect(map, m);
}

/* Two spans change hands in one change: no reader sees one of them without the other, nor a hole. */
TEST_F(span_map_test, readers_see_all_of_a_change)
{
	std::atomic<bool> stop{false};
	std::atomic<unsigned> rounds{0};

	auto set = [&](u64 n) {
		svm::span_map::change c(map);

		ASSERT_TRUE(c.replace(pages_of(10, 20), thing(n)).ok());
		ASSERT_TRUE(c.replace(pages_of(300, 301), thing(n)).ok());
		ASSERT_TRUE(c.replace(pages_of(100 + n % 50, 160), thing(n % 3 ? 7 : 0)).ok());
		c.commit(vm->domain());
	};

	set(1);

	std::thread reader([&] {
		while (!stop) {
			svm::reader section(vm->domain());
			void *first = map.at(15 * PAGE).of, *second = map.at(300 * PAGE).of, *again = map.at(15 * PAGE).of;

			EXPECT_NE(first, nullptr);
			EXPECT_LE(first, second);
			EXPECT_LE(second, again);
			rounds++;
		}
	});

	for (u64 n = 2; n < 3000 || rounds < 1000; n++)
		set(n);
	stop = true;
	reader.join();
}

/* As many as a process may bind, in the order of their addresses: a look-up stays short. */
TEST_F(span_map_test, is_not_deep)
{
	constexpr u64 n = 100000;

	for (u64 i = 0; i < n; i++) {
		svm::span_map::change c(map);

		ASSERT_TRUE(c.replace({i * PAGE, (i + 1) * PAGE}, thing(i + 1)).ok());
		c.commit(vm->domain());
	}
	u64 before = svm_host::current().alloc_count;
	svm::span_map::change c(map);
	ASSERT_TRUE(c.replace({n / 2 * PAGE, (n / 2 + 1) * PAGE}, thing(1)).ok());
	EXPECT_LT(svm_host::current().alloc_count - before, 120u); /* two paths of about 2 log2(n) */
	for (u64 i = 0; i < n; i += 1001)
		ASSERT_EQ(map.at(i * PAGE).of, thing(i + 1));
}

} // namespace svm_test

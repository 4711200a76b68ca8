// SPDX-License-Identifier: GPL-2.0-only
/* mm/base/list.hpp */
#include "mm/base/list.hpp"
#include "tests/unit/machine.hpp"
#include "tests/unit/seeded.hpp"

#include <random>

namespace svm_test
{

struct item {
	u64 value = 0;
	svm::atomic<item *> next;
};

using list = svm::shared_list<item>;

static std::vector<u64> values(const list &l)
{
	std::vector<u64> all;

	for (item *i = l.first(); i; i = l.after(*i))
		all.push_back(i->value);
	return all;
}

TEST(list_test, against_a_vector)
{
	seeded r(7);
	item pool[20];
	list l;
	std::vector<u64> model;

	for (u64 i = 0; i < 20; i++)
		pool[i].value = i;
	EXPECT_EQ(l.first(), nullptr);
	for (int step = 0; step < 2000; step++) {
		item &i = pool[r() % 20];
		auto at = std::find(model.begin(), model.end(), i.value);

		if (at == model.end()) {
			l.push(i);
			model.insert(model.begin(), i.value);
		} else {
			l.remove(i);
			model.erase(at);
		}
		ASSERT_EQ(values(l), model);
	}
}

TEST(list_test, removing_what_is_not_there)
{
	item a, b;
	list l;

	l.remove(a);
	l.push(b);
	l.remove(a);
	EXPECT_EQ(l.first(), &b);
}

using shared_list_test = machine;

/* Readers without a lock; what was taken out is freed after a grace period. */
TEST_F(shared_list_test, readers_beside_a_writer)
{
	port_domain *d = port_domain_create(this, proc.get(), &dev);
	std::atomic<bool> stop{false};
	list l;
	item stays;

	stays.value = 1000;
	l.push(stays);

	auto read = [&] {
		while (!stop) {
			int cookie = port_read_enter(d);
			bool seen = false;

			for (item *i = l.first(); i; i = l.after(*i)) {
				EXPECT_GE(i->value, 1000u);
				seen |= i == &stays;
			}
			EXPECT_TRUE(seen);
			port_read_exit(d, cookie);
		}
	};
	std::thread a(read), b(read);

	for (int round = 0; round < 300; round++) {
		item *i = new item;

		i->value = 2000;
		l.push(*i);
		std::this_thread::yield();
		l.remove(*i);
		port_synchronize(d);
		i->value = 0; /* nobody looks any more */
		delete i;
	}
	stop = true;
	a.join();
	b.join();
	port_domain_destroy(d);
}

} // namespace svm_test

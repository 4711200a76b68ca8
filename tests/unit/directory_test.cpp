// SPDX-License-Identifier: GPL-2.0-only
/*
 * A directory is published before the device's entry leads to it. Who finds one in between, or loses the race to
 * publish it, writes the entry too before going on: else the device finds no way to what is mapped there.
 */
#include "tests/unit/tree.hpp"

#include "mm/fmt/xe2.hpp"

namespace svm_test
{

/* Xe2, with a hook before an entry is linked. */
struct halting_xe2 : svm::xe2 {
	static inline std::function<void()> before_link;

	static void link(void *entry, unsigned lv, u64 addr, svm_aperture where)
	{
		if (before_link)
			before_link();
		svm::xe2::link(entry, lv, addr, where);
	}
};

class directory_test : public tree_machine<halting_xe2>
{
protected:
	struct mark {
		bool halts = false;
	};

	/* Makes the table around AT on a thread that stops before the root's entry leads to the new directory. */
	void start()
	{
		halting_xe2::before_link = [this] {
			if (!own<mark>().halts)
				return;
			halted = true;
			eventually([this] { return go.load(); });
		};
		winner = std::thread([this] {
			own<mark>().halts = true;
			EXPECT_TRUE(walk::make_table(pt, AT).ok());
		});
		EXPECT_TRUE(eventually([this] { return halted.load(); }));
	}

	/* Whether the device finds a way from the root. */
	bool linked()
	{
		auto *entries = static_cast<u64 *>(pt.root->mem.cpu);

		return halting_xe2::load(entries + geometry::index(0, AT)) != halting_xe2::empty(0);
	}

	void finish()
	{
		go = true;
		winner.join();
		halting_xe2::before_link = nullptr;
	}

	static constexpr u64 AT = BASE;
	std::thread winner;
	std::atomic<bool> halted{false}, go{false};
};

TEST_F(directory_test, the_next_one_links_it)
{
	start();
	EXPECT_FALSE(linked());
	EXPECT_TRUE(walk::make_table(pt, AT + span).ok());
	EXPECT_TRUE(linked());
	finish();
}

TEST_F(directory_test, the_loser_links_it)
{
	bool met = false;

	hook.alloc = [&] {
		if (!std::exchange(met, true))
			start();
	};
	EXPECT_TRUE(walk::make_table(pt, AT + span).ok());
	hook.alloc = nullptr;
	EXPECT_TRUE(met);
	EXPECT_TRUE(linked());
	finish();
	EXPECT_EQ(counted().directories, 3u);
	EXPECT_EQ(gpus->tables, 3u);
}

} // namespace svm_test

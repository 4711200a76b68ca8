// SPDX-License-Identifier: GPL-2.0-only
/* The nodes that an administrator lets a process use. Needs two nodes and the cpuset controller. */
#include <cerrno>
#include <unistd.h>

#include <sys/stat.h>

#include "machine.hpp"
#include "nodes.hpp"

using namespace harness;

namespace {

// A control group with memory from one node.
class node_group {
public:
	explicit node_group(int node)
	{
		if (!write_file("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset") ||
		    (mkdir(folder, 0755) && errno != EEXIST) ||
		    !write_file(std::string(folder) + "/cpuset.mems", std::to_string(node)))
			throw std::system_error(errno, std::generic_category(), "a cpuset of one node");
	}
	node_group(const node_group &) = delete;
	node_group &operator=(const node_group &) = delete;
	~node_group()
	{
		EXPECT_TRUE(eventually([] { return !rmdir(folder); }));
	}
	bool join() const { return write_file(std::string(folder) + "/cgroup.procs", "0"); }

private:
	static constexpr const char *folder = "/sys/fs/cgroup/svm-node";
};

} // namespace

SVM_TEST(ProcessCpuset, DevicePagesComeFromItsNodes)
{
	for (int node = 0; node < 2; node++) {
		node_group group(node);
		child user([&] {
			if (!group.join())
				return 1;
			gpu gpu;
			mapping memory(4 * mib);
			memory.no_huge_pages();
			if (device_fill(gpu.queue, memory.bytes(), std::byte{1}))
				return 2;
			return pages_on_node(memory.bytes(), node) == memory.pages() ? 0 : 3;
		});
		EXPECT_TRUE(user.succeeded()) << "node " << node;
	}
}

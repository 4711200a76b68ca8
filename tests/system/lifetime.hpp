// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver and the virtual GPU as things that go and come back. These tests
 * leave the modules loaded and the GPU running, also where they fail.
 */
#ifndef SVM_TESTS_SYSTEM_LIFETIME_HPP
#define SVM_TESTS_SYSTEM_LIFETIME_HPP

#include <initializer_list>
#include <string>
#include <vector>

#include "harness.hpp"

namespace lifetime {

// Modules in the order of loading, with the parameters that they have now. If none are named: those that the GPU needs.
class modules {
public:
	explicit modules(std::initializer_list<const char *> names = {"svmirror", "svm_drm", "svgpu"});
	// 0 or a negative errno of the first that would not go or come.
	int unload();
	int load();
	bool loaded() const;

private:
	struct module {
		std::string name, path, parameters;
	};
	std::vector<module> modules_; // in order of loading
};

// Where the driver is bound to devices, in sysfs.
inline constexpr const char *driver = "/sys/bus/pci/drivers/svgpu/";
// The device's name on its bus, empty while no driver has it.
std::string bound_device();

// Binds the driver again, whatever a test did.
class rebound {
public:
	explicit rebound(std::string device) : device_(std::move(device)) {}
	rebound(const rebound &) = delete;
	rebound &operator=(const rebound &) = delete;
	~rebound();

private:
	std::string device_;
};

// What the host does to the virtual GPU; fails the test where the host cannot be reached.
void ask_host(std::vector<std::string> request);
void kill_gpu();
void restart_gpu();
// How long the driver waits for the device. The default is there again when the module is loaded again.
void set_flush_timeout(unsigned milliseconds);

// A job from end to end: the device works.
void expect_working();

} // namespace lifetime

#endif

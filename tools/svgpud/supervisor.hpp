// SPDX-License-Identifier: GPL-2.0-only
// The process that QEMU is connected to. It owns what must outlive the device (the socket, the BAR, the eventfds), so
// that the device, a child process, can be killed and started again while the guest runs.
//
//	SIGUSR1			kill the device
//	SIGUSR2			start it again
//	the driver's bell	turn the bus off or on (SVGPU_REG_BUS in svgpu_regs.h)
//	SIGTERM, SIGINT		end
//	QEMU disconnects	end
//
// A device that dies by itself stays dead until SIGUSR2, unless that was a lie: the driver must be able to see that. One
// thread, so that fork() is safe; the device's threads are all in the child.
//
// It is the bus interface too, which a device that lies cannot get around. Off means: the process that is the device was
// killed with SIGKILL and waited for, so none of its threads runs any more, and it was all that had the guest's memory
// mapped. Only then is the driver told, in a page of the BAR that the device has mapped read-only.
#pragma once

#include "ivshmem_server.hpp"
#include "model/log.hpp"
#include "shared_memory.hpp"
#include "worker.hpp"

#include <filesystem>
#include <sys/types.h>

namespace svgpu {

class supervisor {
public:
	// Listens once this returns. Throws std::system_error.
	supervisor(std::filesystem::path socket, worker_options options, const log &log);
	~supervisor();
	supervisor(const supervisor &) = delete;
	supervisor &operator=(const supervisor &) = delete;

	// Returns when there is nothing left to do. False: a device had found out that it is broken.
	bool run();

private:
	bool handle_signal();
	void handle_connection();
	bool guest_left();
	void handle_bus();
	void start_worker();
	bool choose(device_options &device) const;
	void kill_worker();
	void reap_worker();

	const std::filesystem::path path_;
	worker_options options_;
	const log &log_;
	ivshmem_plug plug_;
	mapping registers_;
	descriptor signals_;
	descriptor listener_;
	descriptor guest_;
	pid_t worker_ = 0; // none
	bool wanted_ = false; // is to run whenever the bus is on
	bool bus_on_ = true;
	bool broken_ = false;
};

} // namespace svgpu

// SPDX-License-Identifier: GPL-2.0-only
// The process that QEMU is connected to. It owns what must outlive the device (the socket, the BAR, the eventfds), so
// that the device, a child process, can be killed and started again while the guest runs.
//
//	SIGUSR1			kill the device
//	SIGUSR2			start it again
//	SIGTERM, SIGINT		end
//	QEMU disconnects	end
//
// A device that dies by itself stays dead until SIGUSR2: the driver must be able to see that. One thread, so that
// fork() is safe; the device's threads are all in the child.
#pragma once

#include "ivshmem_server.hpp"
#include "model/log.hpp"
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

	void run();

private:
	bool handle_signal();
	void handle_connection();
	bool guest_left();
	void start_worker();
	void kill_worker();
	void reap_worker();

	const std::filesystem::path path_;
	const worker_options options_;
	const log &log_;
	ivshmem_plug plug_;
	descriptor signals_;
	descriptor listener_;
	descriptor guest_;
	pid_t worker_ = 0; // none
};

} // namespace svgpu

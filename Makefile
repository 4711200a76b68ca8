# SPDX-License-Identifier: GPL-2.0-only
# Two files in one. Read by Kbuild (KERNELRELEASE is set) it names the folders that hold modules;
# read by make it offers the everyday verbs, each of which is one program in tools/vm.

ifneq ($(KERNELRELEASE),)

obj-m := mm/
obj-m += $(patsubst $(src)/%Makefile,%,$(foreach driver,svm svgpu dmirror,$(wildcard $(src)/drivers/$(driver)/Makefile)))
obj-m += $(if $(CONFIG_KUNIT),$(if $(wildcard $(src)/tests/kunit/Makefile),tests/kunit/))
obj-m += $(if $(SVM_BENCH),tests/bench/)

else

.DEFAULT_GOAL := help
export LANE FORMAT INPUT KSRC SECONDS SEED VMS JSON KEEP

# All that takes minutes reports its own progress; make's own chatter would only hide it.
MAKEFLAGS += --no-print-directory
vm := $(CURDIR)/tools/vm

.PHONY: help
help: ## list these verbs
	@echo "svmirror: every pointer that the CPU can dereference, the device can too"
	@echo
	@sed -n 's/^\([a-z_-]*\):.*## \(.*\)/  make \1|\2/p' $(CURDIR)/Makefile | \
		while IFS='|' read -r verb text; do printf '%-22s %s\n' "$$verb" "$$text"; done
	@echo
	@echo "  LANE=NAME   debian-12, debian-13, current, stock (the distribution's prebuilt kernel), or all;"
	@echo "              unset: the distribution's own kernel, for the demo prebuilt, else with our checks"
	@echo "  KSRC=DIR    build that kernel source tree instead of the lane's; or KSRC=linux-source-X.Y,"
	@echo "              another package of the lane's suite"
	@echo "  FORMAT=NAME the page tables that the demo's device walks: xe2, nv_v2, nv_v3, amd_gfx9, amd_gfx12, mlx5_odp"
	@echo "  INPUT=FILE  the file that the demo works on"
	@echo "  SEED=N      what chaos does; the same number does the same again"
	@echo "  SECONDS=N   how long chaos or fuzz go on"
	@echo "  VMS=N       how many virtual machines check runs at a time; unset: as CPUs and memory allow"

.PHONY: demo
demo: ## show the main job on a real file: a process and a virtual GPU share memory
	@$(vm)/setup $(if $(filter-out stock,$(LANE)),,--demo) && $(vm)/demo

.PHONY: quick
quick: ## the first answer after a change: unit tests on the host, 20 s after a line in mm/pt/leaves.hpp
	@$(vm)/quick

.PHONY: check
check: ## run the tests, on the host and in virtual machines; the last line counts them
	@$(vm)/setup && $(vm)/check

.PHONY: soak
soak: ## for a night: every suite on every lane, long chaos, simulation, stress and fuzzing
	@$(vm)/setup && $(vm)/check --soak

.PHONY: chaos
chaos: ## random memory operations against random GPU jobs, for SECONDS= (300), from SEED=
	@$(vm)/setup && $(vm)/chaos

.PHONY: bench
bench: ## count what svmirror costs beside drm_gpusvm, in instructions; JSON=FILE, KEEP=1
	@$(vm)/setup && $(vm)/bench

.PHONY: bench-profile
bench-profile: ## which functions a row's instructions are in; ROW=fault-4k, CONTENDER=svmirror-2M
	@$(vm)/setup && $(vm)/bench --profile $(or $(ROW),fault-4k) $(or $(CONTENDER),svmirror-2M)

.PHONY: bench-host
bench-host: ## pages/s of the core on the host, by 1 to 16 threads in one vm
	@cd $(CURDIR) && cmake --preset release >/dev/null && cmake --build --preset release --target svm_bench_host
	@$(CURDIR)/build/release/tests/bench/svm_bench_host

.PHONY: sim
sim: ## run the mirror under the seeded scheduler; SEED=, STEPS=, SCENARIO=
	@cd $(CURDIR) && cmake --preset release >/dev/null && cmake --build --preset release --target svm_sim
	@$(CURDIR)/build/release/tests/sim/svm_sim $(if $(SEED),--seed $(SEED)) $(if $(STEPS),--steps $(STEPS)) \
		$(if $(SCENARIO),--scenario $(SCENARIO))

.PHONY: fuzz
fuzz: ## run the fuzzers until they are ended, or for SECONDS=
	@$(vm)/setup && $(vm)/fuzz

.PHONY: host
host: ## build the host programs and those that run in the virtual machine (build/release) and nothing else
	@cd $(CURDIR) && cmake --preset release && \
		cmake --build --preset release --target all tests/system/all tests/chaos/all tests/bench/all tools/preload/all

.PHONY: docs
docs: ## build Documentation/ into out/docs
	@$(vm)/setup && sphinx-build -W --keep-going -q -b html $(CURDIR)/Documentation $(CURDIR)/out/docs
	@echo "built: $(CURDIR)/out/docs/index.html"

.PHONY: modules modules_install
modules: ## build the kernel modules for KDIR=, a configured kernel (default: the running one)
modules_install: ## install them below INSTALL_MOD_PATH
modules modules_install:
	@test -e "$(KDIR)/Makefile" || { \
		echo "error: KDIR=$(KDIR) is no kernel build tree. For the running kernel install its headers package" \
			"(linux-headers-$$(uname -r)); tools/vm/kernel LANE CONFIG makes another kernel's" >&2; exit 2; }
	$(MAKE) -C $(KDIR) M=$(CURDIR) $@

KDIR ?= /lib/modules/$(shell uname -r)/build

.PHONY: doctor
doctor: ## say what is missing on this machine and the command that mends it
	@$(vm)/setup --doctor

.PHONY: clean
clean: ## remove what was built in this tree (kernels stay in the cache)
	@rm -rf $(CURDIR)/build $(CURDIR)/out
	@find $(CURDIR)/mm $(CURDIR)/drivers $(CURDIR)/tests/kunit $(CURDIR)/tests/bench \( -name '*.o' -o -name '*.ko' -o -name '*.mod' \
		-o -name '*.mod.c' -o -name '.*.cmd' -o -name 'modules.order' -o -name '.*.d' \) \
		-type f -delete 2>/dev/null || true
	@rm -f $(CURDIR)/mm/svm_config.h $(CURDIR)/drivers/svgpu/svm_config.h
	@rm -f $(CURDIR)/Module.symvers $(CURDIR)/modules.order $(CURDIR)/.Module.symvers.cmd \
		$(CURDIR)/.modules.order.cmd $(CURDIR)/.module-common.o $(CURDIR)/..module-common.o.cmd

endif

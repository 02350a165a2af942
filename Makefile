# SPDX-License-Identifier: GPL-2.0-only
# gondola: "make help" says what there is. Everything is built below build/.

BUILD ?= $(CURDIR)/build
# Kbuild would say that there is no rule to make the second word.
ifneq ($(words x$(CURDIR) x$(BUILD))$(findstring :,$(CURDIR)$(BUILD)),2)
$(error Kbuild takes no path with a space or a colon: move $(CURDIR), or give another BUILD than $(BUILD))
endif
ENGINE ?= vmx
CPU_MODEL ?=
MITIGATIONS ?= off
CPUS ?= 1
SECONDS ?= 3
# A kernel of another Debian suite, as 6.12: what is built for it has a folder of its own.
KERNEL ?=
# "make smp ENGINE=vmx" is for the patient.
SMP_ENGINE = $(if $(filter command environment,$(firstword $(origin ENGINE))),$(ENGINE),svm)
SMP_GUESTS = $(if $(filter vmx,$(SMP_ENGINE)),2,1 2 4 16)
SMP_TIMEOUT = $(if $(filter vmx,$(SMP_ENGINE)),3000,1200)

MAKEFLAGS += --no-print-directory

testing := tools/testing
machine := $(testing)/machine/machine
packages := $(testing)/machine/packages
# Headers of another kernel: KDIR=/lib/modules/RELEASE/build.
kdir = $(if $(KDIR),$(KDIR),/usr/src/linux-headers-$$($(machine) --version))
headers_check = tools/headers-check $(if $(filter module,$@),--module) "$(kdir)" $(if $(LLVM),clang,$(if $(CC:cc=),"$(CC)"))

checked_build := $(BUILD)
ifneq ($(KERNEL),)
override BUILD := $(BUILD)/kernel-$(KERNEL)
endif

stock = $(if $(KERNEL),--stock $(KERNEL))
# Such a guest needs no processor that can have others.
ifeq ($(GUEST)$(filter command environment,$(firstword $(origin ENGINE))),xen)
override ENGINE := ring3
endif
machine_options = --engine $(ENGINE) --cpus $(CPUS) --mitigations $(MITIGATIONS) \
	$(if $(CPU_MODEL),--cpu-model $(CPU_MODEL)) $(if $(TIMEOUT),--timeout $(TIMEOUT))

# The tools that watch need more packages than the rest: without them "make" goes without.
tracing_ready := $(and $(shell command -v clang),$(wildcard /usr/sbin/bpftool),$(wildcard /usr/include/bpf/libbpf.h))

all: module driver launcher $(if $(tracing_ready),tracing-tools)

help:
	@echo 'make              build the module (build/gondola.ko), the launcher (build/gondola)'
	@echo '                  and the balloon driver for guests (build/gondola_balloon.ko)'
	@echo 'make run          boot a stock Debian guest in a test machine, run a workload in it'
	@echo 'make tracing-tools  the BPF tools and bpftrace scripts: build/tracing/'
	@echo 'make tracing      all tests of those, and what they cost: build/tracing.json'
	@echo 'make smp          the stress in guests with 1, 2, 4 and 16 processors (QEMU; ENGINE=vmx: with 2)'
	@echo 'make smp-long     five minutes of it with 4 processors'
	@echo 'make migration    live migration at length: workloads, two machines, faults: build/migration.json'
	@echo 'make shell        an interactive prompt in that machine'
	@echo 'make check        all tests; ends in "N passed, N failed"'
	@echo 'make balloon      the tests of the balloon, and their figures: build/balloon.json'
	@echo 'make kunit        the KUnit suites alone, in User Mode Linux'
	@echo 'make fuzz         each fuzz target of tools/testing/fuzz for SECONDS (default 300); ONLY=abi:'
	@echo '                  all ioctls at random, ONLY=hostile: hostile guests, in User Mode Linux'
	@echo '                  (ENGINE=svm|vmx); SEED=N repeats a run'
	@echo 'make corpus       images out of Debian packages: what each says, as a table (QEMU; ENGINE=vmx|interp)'
	@echo 'make kernels      stock kernels 5.10 to 7.3 of all flavours as guests (QEMU); ONLY=6.12-rt-amd64'
	@echo 'make modes        guests of every paging mode, real mode among them (QEMU; ENGINE=vmx|interp)'
	@echo 'make mutants      break module and launcher in many ways: does a test see each?'
	@echo 'make debug        GDB and crash with the stock kernel as their guest, and its symbols (280 MB)'
	@echo 'make course       the commands of Documentation/course/, and whether they print what it says;'
	@echo '                  ONLY=demands: those of one page'
	@echo 'make debian-13    build and test in a fresh root of Debian 13: an hour at first'
	@echo 'make docs         check the documentation; HTML and a man page if Sphinx is there'
	@echo 'make bench        the bare boot of a guest, with and without ACPI'
	@echo 'make exits-per-op  exits of a fork, an exec, a fault, a block read ... (QEMU)'
	@echo 'make mmu-lock     the MMU lock under two vCPUs that fault at once (QEMU)'
	@echo 'make service      VMs as services of a booted Debian, with systemd (QEMU; fetches a disk at first)'
	@echo 'make cluster      two Debian hosts with Corosync and Pacemaker place VMs, and fence (QEMU)'
	@echo 'make guest-disk   a small Debian on an ext4 disk, its kernel and initrd: build/guest-disk/'
	@echo 'make disk-test    boot it, kill the launcher while it writes, boot again (QEMU, minutes; GUEST=xen)'
	@echo 'make packages     install the Debian packages that all this needs (the others do it too)'
	@echo 'make deb          Debian packages: build/deb/; tools/testing/packages/run installs them in'
	@echo '                  fresh roots of Debian and purges them'
	@echo 'make clean        remove build/'
	@echo
	@echo 'for run, shell, check and bench:'
	@echo '  ENGINE=vmx|svm|interp vmx: Bochs (default), svm: QEMU, interp: User Mode Linux, no emulator;'
	@echo '                        run, shell and check also have ring3: QEMU without SVM;'
	@echo '                        check runs all without it'
	@echo '  GUEST=xen             the guest'\''s kernel paravirtualized, in ring 3 (run; ENGINE=ring3, default, or interp)'
	@echo '  CPU_MODEL=NAME        default core2_penryn_t9600 (vmx), EPYC (svm)'
	@echo '  MITIGATIONS=default   with the kernels'\'' mitigations (default off, which is quicker)'
	@echo '  KERNEL=6.12           that kernel for the machine and the guest, from another Debian suite;'
	@echo '                        for run, module and driver; check runs all selftests with it (svm)'
	@echo '  CPUS=N                processors of the machine (default 1)'
	@echo '  TIMEOUT=N             give up after N seconds (default 600, svm 180)'
	@echo 'make kunit STEPS=N SEED=N says how long and how the random test of the shadow tables runs.'
	@echo '  MODE=N KEEP=N,N,... runs single steps of it again: it says which, when it fails'
	@echo 'make mutants ONLY=NAME tries those whose name contains it, AGAIN=1 forgets earlier results.'
	@echo 'make smp SECONDS=N runs each part of the stress for so long (default 3).'
	@echo 'make check DEBUG_KERNEL=1 runs the selftests under lockdep, KASAN and kmemleak (QEMU);'
	@echo '  DEBUG_KERNEL=kcsan under the detector of data races.'
	@echo 'make check ONLY=REGEX builds, then does nothing but the jobs of that name.'
	@echo '  MINUTES=N begins no job after N minutes, and says which had no turn.'
	@echo 'BUILD=DIR builds elsewhere. GONDOLA_CACHE=DIR keeps kernels and images (default ~/.cache/gondola).'

packages:
	@$(packages)

# The smaller sets, so that a build alone installs no emulators.
packages-%:
	@$(packages) $*

# Kbuild works in a tree of links, since newer kernels find no sources elsewhere. The machines need no debugging
# information; $(BUILD)/module/gondola.ko keeps it.
ifneq ($(KERNEL),)
module driver: packages-build packages-suites
	@$(testing)/machine/build-for $(KERNEL) $(BUILD) $@ $(KBUILD_OPTIONS)
else
module driver: packages-build
	@$(headers_check) $(if $(filter driver,$@),> /dev/null)
	+@KDIR="$(kdir)" $(testing)/machine/build-for installed $(BUILD) $@ $(KBUILD_OPTIONS)
endif

launcher: packages-build
	+@$(MAKE) -C userspace O=$(BUILD)

tracing-tools: packages-tracing
	+@$(MAKE) -C tracing/bpf O=$(BUILD)

# The tools at work, long; expected and reported counts: build/tracing.json, with pictures.
tracing: all packages-machine
	@BUILD=$(BUILD) $(testing)/tracing/run --long --json $(BUILD)/tracing.json

workload: packages-build
	+@$(MAKE) -C $(testing)/guests/workload O=$(BUILD)
	+@$(MAKE) -C $(testing)/guests/stress O=$(BUILD)
	+@$(MAKE) -C $(testing)/guests/steady O=$(BUILD)

# Debian packages of all that people install: build/deb/.
deb: packages-deb launcher tracing-tools
	@tools/packaging/deb $(BUILD)

# The UML machine loads this; it is built against a UML kernel from the cache.
module-uml: packages-check
	@$(testing)/machine/uml-module $(BUILD) > /dev/null

# With ENGINE=interp the machine is User Mode Linux, with a module of its own.
engine_module = $(if $(filter interp,$(ENGINE)),module-uml,module)

run: $(engine_module) launcher workload packages-machine
	@$(testing)/guests/workload/run --build $(BUILD) $(machine_options) --machine-options '$(stock)' \
		$(if $(GUEST),--guest $(GUEST))

bench: all workload packages-machine
	@$(testing)/guests/workload/run --build $(BUILD) $(machine_options) --machine-options '$(stock)' --bare \
		--json $(BUILD)/bench-boot.json
	@$(testing)/guests/workload/run --build $(BUILD) $(machine_options) --machine-options '$(stock)' --bare --reboot \
		--append "acpi=off noapic" --json $(BUILD)/bench-boot-noacpi.json

exits-per-op: all packages-machine
	@$(testing)/bench/exits-per-op --build $(BUILD) --engine $(SMP_ENGINE)

mmu-lock: all packages-machine
	@$(testing)/bench/mmu-lock --build $(BUILD) --engine $(SMP_ENGINE)

# Two processors, whatever CPUS says: guests with more than that, too. On Bochs it takes long.
smp: all workload packages-machine
	@$(testing)/guests/stress/run $(BUILD) $(SMP_ENGINE) $(SECONDS) $(SMP_GUESTS) -- \
		--timeout $(SMP_TIMEOUT) --mitigations $(MITIGATIONS) \
		$(if $(CPU_MODEL),--cpu-model $(CPU_MODEL))

# Five minutes of it: eight parts of 38 seconds.
smp-long: SECONDS = 38
smp-long: SMP_GUESTS = 4
smp-long: smp

shell: $(engine_module) launcher workload packages-machine
	+@$(MAKE) -C $(testing)/guests/tiny O=$(BUILD)
	@$(machine) $(machine_options) $(stock) --shell --guest $(BUILD)/guest --files $(BUILD)/workload \
		--files $(if $(filter interp,$(ENGINE)),$(BUILD)/uml/gondola.ko,$(BUILD)/gondola.ko):/ \
		--files $(BUILD)/gondola:/bin/ --files $(BUILD)/guests:guests \
		--guest-modules virtio_mmio,virtio_balloon

# Long. PARTS: workloads, linked, linked-vmx, faults, or one workload or kind of fault; SEED=N, FAULTS=N.
migration: all packages-machine
	@$(testing)/migrate/run --build $(BUILD) $(if $(SEED),--seed $(SEED)) \
		$(if $(FAULTS),--faults $(FAULTS)) $(PARTS)

guest-disk: packages-disk
	@$(testing)/guests/disk/make-disk $(BUILD)/guest-disk

disk-test: all guest-disk packages-machine
	@GUEST=$(GUEST) $(testing)/guests/disk/run $(BUILD) --cpus 2

# The balloon's tests, long: build/balloon.json.
balloon: all packages-machine
	+@BUILD=$(BUILD) $(testing)/balloon/run all

# Debuggers with the stock kernel's symbols, which are fetched (280 MB) and kept in the cache.
debug: all packages-check packages-machine packages-debug
	@BUILD=$(BUILD) $(testing)/debug/run --engine interp --symbols --keep $(BUILD)/debug-kept

# What the pages of Documentation/course/ show, shown again.
course: module launcher workload packages-machine
	@$(testing)/course/run --build $(BUILD) $(ONLY)

kunit: packages-build packages-check
	@$(testing)/kunit/run --build $(BUILD)

# Ends when all targets had their time; a crash ends it with its input kept.
# The module is for those machines whose kernel is not User Mode Linux.
fuzz: packages-check packages-machine module
	@BUILD=$(BUILD) SEED=$(SEED) ENGINE=$(if $(filter command environment,$(firstword $(origin ENGINE))),$(ENGINE)) \
		$(testing)/fuzz/run $(if $(filter command environment,$(firstword $(origin SECONDS))),$(SECONDS),300) \
		$(ONLY)

# With ENGINE=vmx on a processor with SMEP and SMAP, in Bochs: half an hour.
modes: all $(engine_module) packages-machine
	@$(testing)/guests/modes/run --build $(BUILD) --engine $(SMP_ENGINE)

# A fresh Debian 13 builds all of it, runs the unit tests, KUnit, a machine of each kind and the debug kernel: an hour
# from nothing.
debian-13: packages-build packages-suites
	@BUILD=$(BUILD) $(testing)/build/debian-13 build unit kunit run vmx interp debug

# The host is a Debian that is fetched at first, and boots in QEMU: some ten minutes.
service: all deb packages-machine packages-suites
	@BUILD=$(BUILD) $(testing)/service/booted

# Two such hosts: a quarter of an hour and more.
cluster: all deb packages-machine packages-suites
	@BUILD=$(BUILD) $(testing)/service/cluster
	@BUILD=$(BUILD) $(testing)/service/tour

# Fetches a dozen kernels at first.
kernels: all workload packages-machine packages-suites
	@BUILD=$(BUILD) $(testing)/guests/kernels/run $(ONLY)

# Two dozen images out of Debian's packages, which apt downloads without installing them.
corpus: all $(engine_module) packages-machine
	@$(testing)/guests/corpus/run --build $(BUILD) --engine $(SMP_ENGINE) --table

# Half an hour from nothing; what is known already is not tried again.
mutants: packages-build packages-check packages-machine
	@$(testing)/mutants/run --build $(BUILD) $(if $(ONLY),--only $(ONLY)) $(if $(AGAIN),--again)

# Sphinx is not asked for: "make packages-docs" installs it.
docs: packages-build
	@tools/docs/check --build $(BUILD)

check: packages
	+@$(testing)/check --build $(checked_build) $(if $(KERNEL),--kernel $(KERNEL)) $(if $(filter command environment,$(firstword $(origin ENGINE))),--engine $(ENGINE)) \
		$(if $(DEBUG_KERNEL),--debug-kernel $(if $(filter kcsan,$(DEBUG_KERNEL)),kcsan,kasan)) $(if $(ONLY),--only '$(ONLY)') $(if $(MINUTES),--minutes $(MINUTES))

clean:
	rm -rf $(BUILD)

.PHONY: exits-per-op mmu-lock service cluster
.PHONY: all help course migration packages module driver launcher tracing-tools tracing workload run bench smp smp-long shell guest-disk disk-test kunit balloon fuzz docs check clean deb
.PHONY: debug mutants modes debian-13 corpus kernels

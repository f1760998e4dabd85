// BPF programs (bpf(2)) written down as the instructions that they are: no compiler, no library. Shared by what asks
// the kernel to judge for a cgroup.
#pragma once

#include <linux/bpf.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "base/error.h"

namespace diatom::agent {

// The kernel gives a program its context in r1, and takes its verdict (1 = let pass) from r0.
class BpfProgram {
 public:
  enum Register : uint8_t { r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, stack };  // the stack lies below its register
  enum class Label { allow, deny, next, tcp, ports };

  void load(int size, Register to, Register from, int offset);  // size: BPF_B, BPF_H, BPF_W
  void move(Register to, Register from);
  void set(Register to, int value);
  void alu(int operation, Register to, int value);                   // 32 bits: BPF_AND, BPF_RSH, BPF_ADD, …
  void add_pointer(Register to, int value);                          // 64 bits
  void from_network(Register value, int bits);                       // 16, 32: to this machine's order
  void jump_if(int condition, Register value, int other, Label to);  // 32 bits: BPF_JEQ, BPF_JNE, BPF_JSET
  void jump(Label to);
  void call(int helper);
  void place(Label label);  // here; jumps go forward only, and a label may be placed again for those that follow
  void leave(int verdict);

  // Judges for all processes of the cgroup from now on.
  Result<> attach(bpf_prog_type type, bpf_attach_type where, int cgroup_fd) const;

 private:
  bpf_insn& append(int code, Register to, int offset, int immediate);
  std::vector<bpf_insn> code_;
  std::map<Label, std::vector<size_t>> waiting_;
};

}  // namespace diatom::agent

#include "bpf.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace diatom::agent {

namespace {

int bpf(bpf_cmd command, bpf_attr& attributes) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

}  // namespace

bpf_insn& BpfProgram::append(int code, Register to, int offset, int immediate) {
  bpf_insn& made = code_.emplace_back();
  made.code = static_cast<uint8_t>(code);
  made.dst_reg = static_cast<uint8_t>(to & 0xf);
  made.off = static_cast<int16_t>(offset);
  made.imm = immediate;
  return made;
}

void BpfProgram::load(int size, Register to, Register from, int offset) {
  append(BPF_LDX | BPF_MEM | size, to, offset, 0).src_reg = static_cast<uint8_t>(from & 0xf);
}
void BpfProgram::move(Register to, Register from) {
  append(BPF_ALU64 | BPF_MOV | BPF_X, to, 0, 0).src_reg = static_cast<uint8_t>(from & 0xf);
}
void BpfProgram::set(Register to, int value) { append(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, value); }
void BpfProgram::alu(int operation, Register to, int value) { append(BPF_ALU | operation | BPF_K, to, 0, value); }
void BpfProgram::add_pointer(Register to, int value) { append(BPF_ALU64 | BPF_ADD | BPF_K, to, 0, value); }
void BpfProgram::from_network(Register value, int bits) { append(BPF_ALU | BPF_END | BPF_TO_BE, value, 0, bits); }
void BpfProgram::call(int helper) { append(BPF_JMP | BPF_CALL, r0, 0, helper); }

void BpfProgram::jump_if(int condition, Register value, int other, Label to) {
  waiting_[to].push_back(code_.size());
  append(BPF_JMP32 | condition | BPF_K, value, 0, other);
}
void BpfProgram::jump(Label to) {
  waiting_[to].push_back(code_.size());
  append(BPF_JMP | BPF_JA, r0, 0, 0);
}
void BpfProgram::place(Label label) {
  for (size_t from : waiting_[label]) code_[from].off = static_cast<int16_t>(code_.size() - from - 1);
  waiting_.erase(label);
}
void BpfProgram::leave(int verdict) {
  set(r0, verdict);
  append(BPF_JMP | BPF_EXIT, r0, 0, 0);
}

Result<> BpfProgram::attach(bpf_prog_type type, bpf_attach_type where, int cgroup_fd) const {
  bpf_attr loading{};
  loading.prog_type = type;
  loading.expected_attach_type = where;
  loading.insns = reinterpret_cast<uint64_t>(code_.data());
  loading.insn_cnt = static_cast<uint32_t>(code_.size());
  loading.license = reinterpret_cast<uint64_t>("Apache-2.0");
  UniqueFd loaded(bpf(BPF_PROG_LOAD, loading));
  if (!loaded) return fail_errno("load BPF program");
  bpf_attr attaching{};
  attaching.target_fd = static_cast<uint32_t>(cgroup_fd);
  attaching.attach_bpf_fd = static_cast<uint32_t>(loaded.get());
  attaching.attach_type = where;
  if (bpf(BPF_PROG_ATTACH, attaching) < 0) return fail_errno("attach BPF program");
  return {};
}

}  // namespace diatom::agent

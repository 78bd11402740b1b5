package main

import "strings"

// functions are those that the tools may probe on some kernel, with the names
// that they had over time.
var functions = strings.Fields(`
	udp_sendmsg udpv6_sendmsg udp_recvmsg udpv6_recvmsg skb_consume_udp skb_free_datagram_locked __skb_free_datagram_locked udp_send_skb udp_v6_send_skb ip_make_skb ip_send_skb ip6_send_skb
	udp_queue_rcv_skb udp_queue_rcv_one_skb __udp_enqueue_schedule_skb __udp4_lib_rcv __udp6_lib_rcv udp_rcv udpv6_rcv udp_sendpage udp_splice_eof
	ip4_datagram_connect __ip4_datagram_connect ip6_datagram_connect __ip6_datagram_connect udp_lib_get_port udp_destroy_sock
	tcp_v4_connect tcp_v6_connect tcp_connect tcp_finish_connect inet_csk_accept inet_accept __inet_accept inet_csk_complete_hashdance
	inet_csk_reqsk_queue_add inet_csk_reqsk_queue_hash_add security_sock_graft tcp_child_process tcp_conn_request tcp_v4_conn_request tcp_v6_conn_request tcp_syn_flood_action
	tcp_v4_syn_recv_sock tcp_v6_syn_recv_sock tcp_check_req tcp_set_state tcp_close __tcp_close tcp_done inet_csk_destroy_sock
	tcp_sendmsg tcp_sendmsg_locked tcp_sendpage do_tcp_sendpages tcp_splice_read skb_copy_datagram_iter simple_copy_to_iter tcp_cleanup_rbuf __tcp_cleanup_rbuf tcp_recvmsg tcp_recvmsg_locked tcp_rcv_established
	tcp_rcv_state_process tcp_retransmit_skb __tcp_retransmit_skb tcp_rtx_synack inet_rtx_syn_ack tcp_send_loss_probe tcp_v4_send_reset tcp_v6_send_reset
	tcp_send_active_reset tcp_reset tcp_drop tcp_drop_reason tcp_v4_do_rcv tcp_v6_do_rcv tcp_v4_rcv tcp_v6_rcv tcp_transmit_skb
	__tcp_transmit_skb tcp_write_err tcp_in_window tcp_v4_destroy_sock tcp_v4_init_sock tcp_v6_init_sock
	inet_listen __inet_listen_sk inet_csk_listen_start inet_bind inet_bind_sk inet6_bind inet6_bind_sk inet_release inet_create inet6_create
	inet_sendmsg inet6_sendmsg inet_recvmsg inet6_recvmsg inet_stream_connect inet_dgram_connect sock_alloc_file sk_alloc sk_free
	sock_sendmsg sock_recvmsg __sock_release sock_queue_rcv_skb sock_queue_rcv_skb_reason sk_filter_trim_cap
	ip_rcv ip_rcv_core ip_list_rcv ip_rcv_finish ip_local_deliver ip_local_deliver_finish ip_forward ip_output ip_mc_output ip_finish_output
	ip_finish_output2 ip_local_out ip_local_out_sk __ip_local_out ip_queue_xmit __ip_queue_xmit ip_send_unicast_reply ip_push_pending_frames
	ipv6_rcv ip6_rcv_finish ip6_output ip6_finish_output ip6_finish_output2 ip6_xmit ip6_local_out ip6_forward ip6_input
	icmp_rcv icmp_send __icmp_send icmpv6_rcv icmp6_send icmp_reply icmp_push_reply icmp_unreach icmpv6_notify sk_error_report sock_def_error_report ping_rcv ping_v4_sendmsg ping_v6_sendmsg
	raw_sendmsg rawv6_sendmsg raw_rcv packet_snd packet_sendmsg packet_rcv tpacket_rcv
	arp_rcv arp_process arp_xmit arp_send arp_send_dst arp_solicit arp_create ndisc_rcv ndisc_send_skb ndisc_solicit
	neigh_resolve_output neigh_connected_output neigh_update __neigh_update __neigh_event_send neigh_event_send_probe __neigh_create neigh_destroy
	nf_hook_slow nf_hook_slow_list ipt_do_table ip6t_do_table arpt_do_table nft_do_chain nf_conntrack_in tcp_packet nf_conntrack_tcp_packet
	__nf_conntrack_confirm __nf_conntrack_alloc destroy_conntrack nf_ct_destroy nf_ct_delete nf_conntrack_hash_insert init_conntrack nf_nat_packet
	nf_conntrack_destroy nf_nat_setup_info
	tcp_make_synack tcp_get_cookie_sock nf_ct_l4proto_log_invalid nf_l4proto_log_invalid
	netif_receive_skb netif_receive_skb_sk netif_receive_skb_internal __netif_receive_skb __netif_receive_skb_core __netif_receive_skb_one_core
	netif_receive_skb_list_internal netif_rx netif_rx_internal napi_gro_receive gro_receive_skb enqueue_to_backlog process_backlog net_rx_action
	dev_queue_xmit __dev_queue_xmit dev_queue_xmit_sk dev_hard_start_xmit xmit_one sch_direct_xmit validate_xmit_skb loopback_xmit
	br_dev_xmit br_handle_frame br_handle_frame_finish br_forward __br_forward br_forward_finish br_pass_frame_up br_fdb_update br_flood
	kfree_skb kfree_skb_reason sk_skb_reason_drop __kfree_skb consume_skb kfree_skb_list kfree_skb_list_reason kfree_skb_partial skb_attempt_defer_free skb_release_data
	__dev_kfree_skb_any dev_kfree_skb_any_reason __dev_kfree_skb_irq dev_kfree_skb_irq_reason sock_rfree tcp_wfree skb_orphan_partial
	sctp_sendmsg sctp_rcv vxlan_xmit vxlan_rcv tun_net_xmit tun_get_user veth_xmit unix_stream_sendmsg unix_dgram_sendmsg
	do_sys_open do_sys_openat2 vfs_read vfs_write
`)

// structs are the types whose members the tools name, besides those that
// functions take.
var structs = []string{
	"struct sock", "struct sock_common", "struct inet_sock", "struct udp_sock", "struct tcp_sock", "struct inet_connection_sock",
	"struct request_sock_queue", "struct request_sock", "struct inet_request_sock", "struct tcp_request_sock", "struct tcp_skb_cb", "struct inet_timewait_sock", "struct socket",
	"struct sk_buff", "struct skb_shared_info", "struct net_device", "struct msghdr", "struct sockaddr", "struct sockaddr_in", "struct sockaddr_in6",
	"struct sockaddr_storage", "struct neighbour", "struct neigh_table", "struct net", "struct ns_common", "struct ethhdr", "struct iphdr",
	"struct ipv6hdr", "struct tcphdr", "struct udphdr", "struct icmphdr", "struct icmp6hdr", "struct arphdr", "struct vlan_hdr",
	"struct flowi", "struct flowi4", "struct flowi6", "struct flowi_common", "struct inet_cork", "struct inet_cork_full", "struct ipv6_pinfo",
	"struct nf_hook_state", "struct nf_conn", "struct nf_conntrack_tuple", "struct nf_conntrack_tuple_hash", "struct xt_table", "struct nft_pktinfo", "struct nft_chain", "struct nft_table",
	"struct proto", "struct in_addr", "struct in6_addr", "struct net_bridge_port", "struct dst_entry", "struct rtable",
	"struct proto_accept_arg", "struct iov_iter", "struct iovec", "struct netdev_queue", "struct skb_free_array",
	"enum skb_drop_reason", "enum skb_drop_reason_subsys", "enum qdisc_drop_reason", "enum ovs_drop_reason",
	"enum mac80211_drop_reason", "enum ___mac80211_drop_reason", "enum sk_rst_reason", "enum ip_conntrack_info",
	"u8", "u16", "u32", "u64", "s32", "s64", "__be16", "__be32", "size_t", "bool", "char", "int", "unsigned int", "long", "unsigned long",
	"unsigned char", "unsigned short",
}

// leftOut are types that lie inside of others and that no tool looks into;
// their sizes are kept.
var leftOut = []string{
	"struct device", "struct dql", "struct hrtimer", "struct timer_list", "struct delayed_work", "struct work_struct",
	"struct netns_ct", "struct netns_xfrm", "struct netns_ipv4", "struct netns_ipv6", "struct netns_nf", "struct netns_bpf", "struct netns_mib",
	"struct netns_sysctl_ipv4", "struct netns_sysctl_ipv6", "struct netns_packet", "struct netns_unix", "struct netns_core", "struct netns_sctp",
	"struct netns_mpls", "struct netns_nexthop", "struct netns_dccp", "struct netns_nftables", "struct netns_ieee802154_lowpan", "struct netns_smc",
	"struct netns_can", "struct netns_xdp", "struct netns_vsock", "struct netns_flow_table", "struct netns_ipvs",
	"struct fasync_struct", "struct lock_class_key", "struct lockdep_map", "struct ctl_table", "struct percpu_counter",
}

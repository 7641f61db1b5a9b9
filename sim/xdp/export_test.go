package xdp

// Damage is what a line does to a packet.
var Damage = damage

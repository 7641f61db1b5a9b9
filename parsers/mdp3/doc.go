// Package mdp3 decodes CME's MDP 3.0 market data (SBE over UDP).
package mdp3

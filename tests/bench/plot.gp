# SPDX-License-Identifier: Apache-2.0
# Plots of what report.py left in the current directory as *.dat.
set encoding utf8
set terminal svg size 820,440 font 'Helvetica,13' background '#ffffff'
set border 3
set tics nomirror out
set grid ytics lc rgb '#dddddd'
set style line 2 lc rgb '#c0392b' lw 2 pt 5 ps 0.5
set style line 3 lc rgb '#e67e22' lw 2 pt 9 ps 0.6
set style line 4 lc rgb '#8e44ad' lw 2 pt 13 ps 0.6
set style line 5 lc rgb '#1f77b4' lw 3 pt 7 ps 0.6
set style line 6 lc rgb '#1f77b4' lw 2 dt 2 pt 6 ps 0.6
set style line 7 lc rgb '#16a085' lw 2 dt 3 pt 6 ps 0.6

set output 'rules.svg'
set title 'Connections per second of ten pods, behind unrelated rules, as a share of direct'
set key outside right center reverse Left
set xlabel 'rules (podcred: targets in its own configuration)'
set xtics ('0' 0, '100' 1, '1,000' 2, '10,000' 3)
set xrange [-0.2:3.2]
set yrange [0:1.1]
set format y '%.1f'
plot 1 with lines lc rgb '#555555' dt 2 title 'direct', \
     'rules.dat' using ($1-0.05):2:3:4 with yerrorlines ls 2 title 'iptables-legacy DNAT', \
     '' using ($1-0.03):5:6:7 with yerrorlines ls 3 title 'iptables-nft DNAT', \
     '' using ($1-0.01):8:9:10 with yerrorlines ls 4 title 'nftables DNAT, map', \
     '' using ($1+0.01):11:12:13 with yerrorlines ls 5 title 'podcred', \
     '' using ($1+0.03):14:15:16 with yerrorlines ls 6 title 'podcred, rules of kube-proxy', \
     '' using ($1+0.05):17:18:19 with yerrorlines ls 7 title 'the same, with NOTRACK'

set output 'redirect.svg'
set title 'A short connection of one pod: time against a direct one, with its 95% interval'
unset key
set xlabel 'no unrelated rules'
set yrange [-0.5:8.5] reverse
set ytics auto
set format y '%s'
set format x '%.2f'
set xtics auto
set xrange [0.95:*]
set grid xtics noytics lc rgb '#dddddd'
set lmargin 30
plot 'redirect.dat' using 2:0:3:4:ytic(1) with xerrorbars lc rgb '#1f77b4' lw 2 pt 7 ps 0.6

set output 'lookup.svg'
set title 'Who is at the other end of this socket? Time per answer'
set lmargin -1
set key outside right center reverse Left
set grid noxtics ytics
set xlabel 'pods on the node'
set logscale xy
set format x '%.0f'
set xtics (10, 110, 1000, 5000)
set xrange [8:7000]
set yrange [100:1e9] noreverse
set ytics ('100 ns' 1e2, '1 µs' 1e3, '10 µs' 1e4, '100 µs' 1e5, '1 ms' 1e6, '10 ms' 1e7, \
           '100 ms' 1e8, '1 s' 1e9)
plot 'lookup.dat' using 1:5 with linespoints ls 2 title 'walk of cgroupfs', \
     '' using 1:3 with linespoints ls 4 title 'two map lookups', \
     '' using 1:2 with linespoints ls 5 title 'podcred\_peer()', \
     '' using 1:4 with linespoints ls 7 title 'source IP in an index'

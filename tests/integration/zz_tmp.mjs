import test from 'node:test';
import { Stack } from './lib/stack.mjs';
test('x', {timeout: 40000}, async () => {
  const stack = await Stack.start();
  const [alice,bob]=['alice','bob'].map((id)=>stack.user(id));
  const room = await stack.room([alice, bob]);
  const sender = await alice.socket({room});
  const t0=Date.now(); const log=(...a)=>console.log(Date.now()-t0,...a);
  const io=sender.socket.io; for (const e of ['reconnect_attempt','reconnect_error','reconnect','error','close']) io.on(e,(...a)=>log('mgr',e,String(a[0]?.message??a[0])));
  for (const e of ['connect','disconnect','connect_error']) sender.socket.on(e,(...a)=>log('sock',e,String(a[0]?.message??a[0]), JSON.stringify(a[0]?.data??null)));
  for (let k=0;k<3;k++){
  await stack.killParlord(); log('killed');
  await stack.startParlord(); log('restarted');
  const r=await Promise.race([sender.send(room,{content:'x'}), new Promise(r=>setTimeout(()=>r('no answer'),8000))]); log(JSON.stringify(r));
  }
  await stack.stop();
});

import { StrictMode, useEffect, useMemo, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { createVerifier, normalise } from 'number-verification';

function Login() {
  const verifier = useMemo(() => createVerifier({ api: 'https://api.example.com', appId: '300000000000' }), []);
  const [phone, setPhone] = useState('');
  const [agreed, setAgreed] = useState(false);
  const [message, setMessage] = useState('');

  useEffect(() => {
    if (agreed) verifier.prepare();
    return () => verifier.dispose(); // StrictMode's second mount begins afresh
  }, [verifier, agreed]);

  async function logIn(event) {
    event.preventDefault();
    if (!normalise(phone)) return setMessage('请填写 11 位手机号');
    if (!agreed) return setMessage('请先阅读并同意条款');
    setMessage('正在核对…');
    const { kind, attemptsLeft } = await verifier.verify(phone);
    if (kind === 'verified') location.replace('/home');
    else if (kind === 'refused') setMessage(`这不是本机号码，今天还可核对 ${attemptsLeft} 次`);
    else if (kind !== 'cancelled') setMessage('暂时无法核对，请重试或用短信登录');
  }

  return (
    <form onSubmit={logIn}>
      <p><label>手机号 <input id="phone" type="tel" inputMode="numeric" autoComplete="tel-national" value={phone} onChange={(event) => setPhone(event.target.value)} /></label></p>
      <p>
        <label><input id="agreed" type="checkbox" checked={agreed} onChange={(event) => setAgreed(event.target.checked)} /> 我已阅读并同意</label>
        <a href="/terms">《用户协议》</a>和<a href="https://wap.cmpassport.com/resources/html/contract.html">《中国移动认证服务条款》</a>
      </p>
      <p><button>登录</button> <a href="/login/sms">短信验证码登录</a></p>
      <p role="status">{message}</p>
    </form>
  );
}

createRoot(document.getElementById('app')).render(<StrictMode><Login /></StrictMode>);

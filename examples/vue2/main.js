// Vue 2 without a compiler at run time, as webpack 4 and uni-app's H5 build have it: a render function, no .vue file.
import Vue from 'vue';
import { createVerifier, normalise } from 'number-verification';

const verifier = createVerifier({ api: 'https://api.example.com', appId: '300000000000' });

new Vue({
  el: '#app',
  data: { phone: '', agreed: false, message: '' },
  watch: {
    agreed: (now) => (now ? verifier.prepare() : verifier.dispose()),
  },
  beforeDestroy: () => verifier.dispose(),
  methods: {
    async logIn(event) {
      event.preventDefault();
      if (!normalise(this.phone)) return (this.message = '请填写 11 位手机号');
      if (!this.agreed) return (this.message = '请先阅读并同意条款');
      this.message = '正在核对…';
      const { kind, attemptsLeft } = await verifier.verify(this.phone);
      if (kind === 'verified') location.replace('/home');
      else if (kind === 'refused') this.message = `这不是本机号码，今天还可核对 ${attemptsLeft} 次`;
      else if (kind !== 'cancelled') this.message = '暂时无法核对，请重试或用短信登录';
    },
  },
  render(h) {
    const typed = ({ target }) => (this.phone = target.value);
    const ticked = ({ target }) => (this.agreed = target.checked);
    const link = (href, text) => h('a', { attrs: { href } }, text);
    return h('form', { on: { submit: this.logIn } }, [
      h('p', [h('label', ['手机号 ', h('input', { attrs: { id: 'phone', type: 'tel', inputmode: 'numeric' }, on: { input: typed } })])]),
      h('p', [
        h('label', [h('input', { attrs: { id: 'agreed', type: 'checkbox' }, on: { change: ticked } }), ' 我已阅读并同意']),
        link('/terms', '《用户协议》'), '和', link('https://wap.cmpassport.com/resources/html/contract.html', '《中国移动认证服务条款》'),
      ]),
      h('p', [h('button', '登录'), ' ', link('/login/sms', '短信验证码登录')]),
      h('p', { attrs: { role: 'status' } }, this.message),
    ]);
  },
});
